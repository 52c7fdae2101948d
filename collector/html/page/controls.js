// SPDX-License-Identifier: MIT
// The controls above the views: metric, threads, search, theme, tabs, keys.
const Controls = (() => {
  const { element, named } = Format
  const KEYS = [
    ['1 … 8', 'metric'], ['g f s n i', 'flame graph, functions, source, native, summary (info)'], ['/', 'search'],
    ['Esc', 'end the search, zoom out, look at all of the time'], ['0', 'zoom out'], ['w', 'all of the time'], ['v', 'invert the flame graph'],
    ['t', 'theme'], ['p', 'print'], ['?', 'these keys'], ['Arrows, Enter', 'in the flame graph: move, zoom'], ['Arrows, + −', 'in the timeline: move and resize the time'],
  ]

  function byId(id) {
    return document.getElementById(id)
  }

  // A pattern, or null: nothing is searched for. What is no regular expression is searched for as it is.
  function pattern(text) {
    if (!text)
      return null
    try {
      return new RegExp(text, 'i')
    } catch {
      return new RegExp(text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'), 'i')
    }
  }

  function metrics(app) {
    const present = Sums.present(app.model)
    Format.replace(byId('metrics'), ...Object.entries(Sums.METRICS).map(([key, { label, text }]) => element('button', {
      type: 'button', role: 'radio', text: label, title: present.includes(key) ? text : `${text}: nothing of it was recorded`,
      'data-metric': key, disabled: !present.includes(key), onclick: () => app.go({ metric: key }),
    })))
  }

  // ------------------------------------------------------------- threads

  function processes(model) {
    const groups = new Map()
    model.threads.forEach((thread, index) => {
      if (!groups.has(thread.pid))
        groups.set(thread.pid, [])
      groups.get(thread.pid).push(index)
    })
    return groups
  }

  function check(checked, onchange, ...what) {
    return element('label', {}, element('input', { type: 'checkbox', checked, onchange: event => onchange(event.target.checked) }), ...what)
  }

  function choose(app, indexes, isOn) {
    const kept = new Set(app.state.threads || app.model.threads.keys())
    for (const index of indexes)
      kept[isOn ? 'add' : 'delete'](index)
    app.go({ threads: kept.size === app.model.threads.length ? null : [...kept].sort((a, b) => a - b) })
  }

  function threads(app) {
    const { model, filter } = app
    const groups = processes(model)
    const kept = filter.threads.filter(Boolean).length
    byId('threads-summary').textContent = kept === model.threads.length
      ? `All ${kept} thread${kept === 1 ? '' : 's'}${groups.size > 1 ? `, ${groups.size} processes` : ''}` : `${kept} of ${model.threads.length} threads`
    Format.replace(byId('thread-tools'),
      element('button', { type: 'button', id: 'all-on', text: 'All', onclick: () => app.go({ threads: null }) }),
      element('button', { type: 'button', id: 'all-off', text: 'None', onclick: () => app.go({ threads: [] }) }))
    Format.replace(byId('thread-list'), ...[...groups].map(([pid, indexes]) => group(app, pid, indexes, groups.size > 1)))
  }

  function group(app, pid, indexes, isNamed) {
    const { model, filter } = app
    const process = model.info.processes.find(p => p.pid === pid)
    const items = indexes.map(index => {
      const thread = model.threads[index]
      const item = element('li', {}, check(filter.threads[index], isOn => choose(app, [index], isOn), named(thread.name),
        thread.entry ? named(thread.entry, { className: 'dim' }) : null),
      element('button', { type: 'button', className: 'link', text: 'only', onclick: () => app.go({ threads: [index] }) }))
      item.dataset.thread = index
      return item
    })
    const all = indexes.every(index => filter.threads[index])
    const head = check(all, isOn => choose(app, indexes, isOn), named(pid ? `pid ${pid} ${process ? process.command : ''}` : 'others'))
    const item = element('li', {}, isNamed ? element('div', { className: 'process' }, head,
      element('button', { type: 'button', className: 'link', text: 'only', onclick: () => app.go({ threads: indexes }) })) : null, element('ul', {}, ...items))
    item.dataset.pid = pid
    return item
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
    app.go({ theme: State.THEMES[(State.THEMES.indexOf(app.state.theme) + 1) % State.THEMES.length] })
  }

  // ---------------------------------------------------------------- keys

  function press(app, key) {
    const present = Object.keys(Sums.METRICS)
    const tabs = { g: 'graph', f: 'functions', s: 'source', n: 'native', i: 'summary' }
    const others = {
      '/': () => byId('search').focus(), '?': () => byId('help').showModal(), 0: () => app.go({ zoom: [] }), w: () => app.go({ range: null }),
      v: () => app.go({ inverted: !app.state.inverted, zoom: [] }), t: () => nextTheme(app), p: () => window.print(),
      Escape: () => app.back(),
    }
    if (tabs[key])
      app.go({ tab: tabs[key] })
    else if (others[key])
      others[key]()
    else if (/^[1-8]$/.test(key) && !byId('metrics').children[key - 1].disabled)
      app.go({ metric: present[key - 1] })
    else
      return false
    return true
  }

  function listen(app) {
    const { go } = app
    byId('search').addEventListener('input', event => go({ search: event.target.value }))
    byId('whole-time').addEventListener('click', () => go({ range: null }))
    byId('reset-zoom').addEventListener('click', () => go({ zoom: [] }))
    byId('theme').addEventListener('click', () => nextTheme(app))
    byId('print').addEventListener('click', () => window.print())
    byId('help-button').addEventListener('click', () => byId('help').showModal())
    for (const [id, key] of [['invert', 'inverted'], ['upwards', 'upwards'], ['by-line', 'byLine']])
      byId(id).addEventListener('change', event => go({ [key]: event.target.checked, ...key === 'upwards' ? {} : { zoom: [] } }))
    byId('frames').addEventListener('change', event => go({ frames: event.target.value, zoom: [] }))
    byId('color-by').addEventListener('change', event => go({ color: event.target.value }))
    for (const tab of document.querySelectorAll('[data-tab]'))
      tab.addEventListener('click', () => go({ tab: tab.dataset.tab }))
    document.addEventListener('keydown', event => {
      const isTyping = event.target.matches('input:not([type=checkbox]), select, textarea')
      if (event.ctrlKey || event.metaKey || event.altKey || byId('help').open)
        return
      if (isTyping && event.key !== 'Escape')
        return
      if (press(app, event.key))
        event.preventDefault()
    })
    document.addEventListener('click', event => {
      if (!byId('threads').contains(event.target) && event.target.isConnected)
        byId('threads').open = false
    })
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => app.render())
    Format.replace(byId('help-keys'), ...KEYS.map(([keys, what]) => element('div', {}, element('dt', {}, element('kbd', { text: keys })), element('dd', { text: what }))))
  }

  // What the controls show follows the state.
  function render(app) {
    const { state } = app
    for (const button of byId('metrics').children)
      button.setAttribute('aria-checked', button.dataset.metric === state.metric)
    for (const tab of document.querySelectorAll('[data-tab]')) {
      tab.setAttribute('aria-selected', tab.dataset.tab === state.tab)
      byId(tab.dataset.tab).hidden = tab.dataset.tab !== state.tab
    }
    for (const [id, key] of [['invert', 'inverted'], ['upwards', 'upwards'], ['by-line', 'byLine']])
      byId(id).checked = state[key]
    byId('color-by').value = state.color
    byId('frames').value = state.frames
    if (byId('search').value !== state.search)
      byId('search').value = state.search
    const whole = byId('whole-time')
    whole.hidden = !state.range
    if (state.range)
      whole.textContent = `${state.range.map(m => Format.duration(m * app.model.moment_ns)).join(' – ')} ×`
    threads(app)
  }

  return { byId, pattern, metrics, listen, render, theme }
})()
