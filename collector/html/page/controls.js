// SPDX-License-Identifier: MIT
// The controls above the views of a profile: metric, threads, time.
const Controls = (() => {
  const { element, named } = Format
  const { byId } = Shell
  const KEYS = [
    ['1 … 8', 'metric'], ['g f s n i', 'flame graph, functions, source, native, summary (info)'], ['/', 'search'],
    ['Esc', 'leave instructions, end the search, zoom out, look at all of the time'], ['0', 'zoom out'], ['w', 'all of the time'], ['v', 'invert the flame graph'],
    ['t', 'theme'], ['p', 'print'], ['?', 'these keys'], ['Arrows, Enter', 'in the flame graph: move, zoom'], ['Arrows, + −', 'in the timeline: move and resize the time'],
  ]

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
      if (!groups.has(thread.process))
        groups.set(thread.process, [])
      groups.get(thread.process).push(index)
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
    Format.replace(byId('thread-list'), ...[...groups].map(([process, indexes]) => group(app, model.info.processes[process], indexes, groups.size > 1)))
  }

  function group(app, process, indexes, isNamed) {
    const { model, filter } = app
    const items = indexes.map(index => {
      const thread = model.threads[index]
      const item = element('li', {}, check(filter.threads[index], isOn => choose(app, [index], isOn), named(thread.name),
        thread.entry ? named(thread.entry, { className: 'dim' }) : null),
      element('button', { type: 'button', className: 'link', text: 'only', onclick: () => app.go({ threads: [index] }) }))
      item.dataset.thread = index
      return item
    })
    const all = indexes.every(index => filter.threads[index])
    const head = check(all, isOn => choose(app, indexes, isOn), named(process ? `pid ${process.pidName} ${process.command}` : 'others'))
    const item = element('li', {}, isNamed ? element('div', { className: 'process' }, head,
      element('button', { type: 'button', className: 'link', text: 'only', onclick: () => app.go({ threads: indexes }) })) : null, element('ul', {}, ...items))
    item.dataset.pid = process ? process.pidName : 'others'
    return item
  }

  // -------------------------------------------------------------- the rest

  const TABS = { g: 'graph', f: 'functions', s: 'source', n: 'native', i: 'summary' }
  const BOXES = [['invert', 'inverted'], ['upwards', 'upwards', true], ['by-line', 'byLine']]

  function press(app, key) {
    if (key === 'w')
      app.go({ range: null })
    else if (/^[1-8]$/.test(key) && !byId('metrics').children[key - 1].disabled)
      app.go({ metric: Object.keys(Sums.METRICS)[key - 1] })
    else
      return false
    return true
  }

  function listen(app) {
    const { go } = app
    Shell.listen(app, { keys: KEYS, tabs: TABS, boxes: BOXES, others: key => press(app, key) })
    byId('whole-time').addEventListener('click', () => go({ range: null }))
    byId('frames').addEventListener('change', event => go({ frames: event.target.value, zoom: [] }))
    byId('color-by').addEventListener('change', event => go({ color: event.target.value }))
    document.addEventListener('click', event => {
      if (!byId('threads').contains(event.target) && event.target.isConnected)
        byId('threads').open = false
    })
  }

  // What the controls show follows the state.
  function render(app) {
    const { state } = app
    Shell.render(app, BOXES)
    for (const button of byId('metrics').children)
      button.setAttribute('aria-checked', button.dataset.metric === state.metric)
    byId('color-by').value = state.color
    byId('frames').value = state.frames
    const whole = byId('whole-time')
    whole.hidden = !state.range
    if (state.range)
      whole.textContent = `${state.range.map(m => Format.duration(m * app.model.moment_ns)).join(' – ')} ×`
    threads(app)
  }

  return { metrics, listen, render }
})()
