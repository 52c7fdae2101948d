// SPDX-License-Identifier: MIT
// What both pages have around their views: theme, tabs, search, keys, tooltip, the path that a graph is zoomed to.
const Shell = (() => {
  const { element, named } = Format
  const THEMES = ['system', 'light', 'dark']

  function byId(id) {
    return document.getElementById(id)
  }

  function escaped(text) {
    return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  }

  // A pattern, or null: nothing is searched for. What is no regular expression is searched for as it is.
  function pattern(text) {
    if (!text)
      return null
    try {
      return new RegExp(text, 'i')
    } catch {
      return new RegExp(escaped(text), 'i')
    }
  }

  // --------------------------------------------------------------- theme

  function theme(app) {
    const chosen = app.state.theme
    const isDark = chosen === 'dark' || (chosen === 'system' && matchMedia('(prefers-color-scheme: dark)').matches)
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light'
    byId('theme').textContent = { system: 'Theme: system', light: 'Theme: light', dark: 'Theme: dark' }[chosen]
    Colors.setDark(isDark)
  }

  function nextTheme(app) {
    app.go({ theme: THEMES[(THEMES.indexOf(app.state.theme) + 1) % THEMES.length] })
  }

  // ---------------------------------------------------------------- keys

  // `others`: what else a key may do; returns whether it did anything.
  function press(app, key, tabs, others) {
    const common = {
      '/': () => byId('search').focus(), '?': () => byId('help').showModal(), 0: () => app.go({ zoom: [] }),
      v: () => app.go({ inverted: !app.state.inverted, zoom: [] }), t: () => nextTheme(app), p: () => window.print(), Escape: () => app.back(),
    }
    if (tabs[key])
      app.go({ tab: tabs[key] })
    else if (common[key])
      common[key]()
    else
      return others(key)
    return true
  }

  // `keys`: rows of the help; `tabs`: by key; `boxes`: by id of a checkbox, what it changes.
  function listen(app, { keys, tabs, boxes, others = () => false }) {
    const { go } = app
    byId('search').addEventListener('input', event => go({ search: event.target.value }))
    byId('reset-zoom').addEventListener('click', () => go({ zoom: [] }))
    byId('theme').addEventListener('click', () => nextTheme(app))
    byId('print').addEventListener('click', () => window.print())
    byId('help-button').addEventListener('click', () => byId('help').showModal())
    for (const [id, key, keepsZoom] of boxes)
      byId(id).addEventListener('change', event => go({ [key]: event.target.checked, ...keepsZoom ? {} : { zoom: [] } }))
    for (const tab of document.querySelectorAll('[data-tab]'))
      tab.addEventListener('click', () => go({ tab: tab.dataset.tab }))
    document.addEventListener('keydown', event => {
      const isTyping = event.target.matches('input:not([type=checkbox]), select, textarea')
      if (event.ctrlKey || event.metaKey || event.altKey || byId('help').open)
        return
      if (isTyping && event.key !== 'Escape')
        return
      if (press(app, event.key, tabs, others))
        event.preventDefault()
    })
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => app.render())
    window.addEventListener('hashchange', () => app.restore())
    Format.replace(byId('help-keys'), ...keys.map(([key, what]) => element('div', {}, element('dt', {}, element('kbd', { text: key })), element('dd', { text: what }))))
  }

  // What the controls show follows the state.
  function render(app, boxes) {
    const { state } = app
    theme(app)
    for (const tab of document.querySelectorAll('[data-tab]')) {
      tab.setAttribute('aria-selected', tab.dataset.tab === state.tab)
      byId(tab.dataset.tab).hidden = tab.dataset.tab !== state.tab
    }
    for (const [id, key] of boxes)
      byId(id).checked = state[key]
    if (byId('search').value !== state.search)
      byId('search').value = state.search
  }

  // The way from the root to where a graph is zoomed to.
  function crumbs(graph, holder, nameOf) {
    const path = graph.tree.pathOf(graph.zoom)
    const items = [element('button', { type: 'button', className: 'link', text: 'all', onclick: () => graph.zoomTo(graph.tree.root) })]
    const shown = path.length > 8 ? path.slice(-7) : path
    if (shown.length < path.length)
      items.push(element('span', { className: 'dim', text: `${path.length - shown.length} callers` }))
    for (const box of shown)
      items.push(element('button', { type: 'button', className: 'link', onclick: () => graph.zoomTo(box) }, named(nameOf(box))))
    Format.replace(holder, ...items)
  }

  // Beside the pointer, inside of the window.
  function tooltip(lines, event) {
    const box = byId('tooltip')
    box.hidden = !lines || !event
    if (box.hidden)
      return
    Format.replace(box, ...lines)
    const { innerWidth, innerHeight } = window
    const left = Math.min(event.clientX + 14, innerWidth - box.offsetWidth - 8)
    const below = event.clientY + 18
    box.style.left = `${Math.max(left, 4)}px`
    box.style.top = `${below + box.offsetHeight > innerHeight ? Math.max(event.clientY - box.offsetHeight - 12, 4) : below}px`
  }

  // Loads what the page was given and hands it on; what goes wrong is told in the page.
  function open(modelOf, show) {
    Data.load(modelOf).then(show).catch(error => {
      byId('fatal').hidden = false
      byId('fatal').textContent = `This page cannot be shown: ${error.message}`
      throw error
    })
  }

  return { byId, pattern, escaped, listen, render, crumbs, tooltip, open }
})()
