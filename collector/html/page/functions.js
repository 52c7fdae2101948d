// SPDX-License-Identifier: MIT
// The table of functions, and the sandwich: who calls the chosen one, and what it calls.
const Functions = (() => {
  const { KIND } = Data
  const { element, named } = Format
  const ROWS = 100

  // A share as a bar behind its number.
  function shareCell(part, whole) {
    const cell = element('td', { className: 'number share', text: part ? Format.percent(part, whole) : '' })
    cell.style.setProperty('--part', whole ? `${Math.min(part / whole, 1) * 100}%` : '0%')
    return cell
  }

  function dot(model, fn) {
    const mark = element('span', { className: 'swatch' })
    mark.style.background = Colors.byKind(model, { fn, guessed: false })
    return mark
  }

  function nameCell(model, fn, onclick) {
    const { functions } = model
    return element('td', { className: 'name' }, dot(model, fn),
      element('button', { type: 'button', className: 'link', title: Format.name(functions.name[fn]), onclick },
        named(functions.short[fn])), ' ', named(Data.place(model, fn), { className: 'dim' }))
  }

  // Callers of the outermost calls of a function, and what it calls itself, recursion apart.
  function neighbours(model, calls, fn) {
    const { nodes } = model
    const callers = new Map()
    const callees = new Map()
    const add = (to, key, weight) => to.set(key, (to.get(key) || 0) + weight)
    for (let n = 0; n < nodes.count; n++) {
      if (nodes.fn[n] !== fn || !calls.total[n])
        continue
      if (nodes.outer[n])
        add(callers, nodes.parent[n] >= 0 ? nodes.fn[nodes.parent[n]] : -1, calls.total[n])
      for (let child = n + 1; child < nodes.end[n]; child = nodes.end[child]) {
        if (nodes.fn[child] !== fn && calls.total[child] && !calledAbove(nodes, n, fn, nodes.fn[child]))
          add(callees, nodes.fn[child], calls.total[child])
      }
    }
    const order = map => [...map].sort((a, b) => b[1] - a[1])
    return { callers: order(callers), callees: order(callees) }
  }

  // Whether a caller of call n is a call of `callee` by `fn` as well: then its time is in that one's already.
  function calledAbove(nodes, n, fn, callee) {
    if (nodes.outer[n])
      return false
    for (let at = nodes.parent[n]; at >= 0; at = nodes.parent[at]) {
      if (nodes.fn[at] === callee && nodes.parent[at] >= 0 && nodes.fn[nodes.parent[at]] === fn)
        return true
    }
    return false
  }

  class View {
    constructor(app, table, sandwich) {
      Object.assign(this, { app, table, sandwich, sort: 'self', limit: ROWS })
      const hooks = {
        color: box => app.color(box), label: box => app.label(box), zoomed: () => {}, picked: box => app.go({ fn: box.fn }),
        describe: (box, graph, event) => app.describe(box, graph, event),
      }
      this.hooks = hooks
    }

    ordered() {
      const { fns, model, matches } = this.app
      const ids = Array.from({ length: model.functions.count }, (_, fn) => fn)
        .filter(fn => (fns.self[fn] || fns.total[fn]) && (!matches || matches(fn)))
      const by = {
        self: (a, b) => fns.self[b] - fns.self[a] || fns.total[b] - fns.total[a],
        total: (a, b) => fns.total[b] - fns.total[a] || fns.self[b] - fns.self[a],
        native: (a, b) => fns.native[b] - fns.native[a] || fns.self[b] - fns.self[a],
        name: (a, b) => model.functions.name[a] < model.functions.name[b] ? -1 : 1,
      }
      return ids.sort(by[this.sort])
    }

    render() {
      const { app } = this
      const ids = this.ordered()
      const head = [['self', 'Self', true], ['total', 'Total', true], ['native', 'Native below', false], ['name', 'Function', false]]
        .flatMap(([key, label, hasShare]) => [this.headCell(key, label), ...hasShare ? [element('td', { className: 'share' })] : []])
      const rows = ids.slice(0, this.limit).map(fn => this.row(fn))
      const left = ids.length - rows.length
      Format.replace(this.table, element('table', {}, element('thead', {}, element('tr', {}, ...head)), element('tbody', {}, ...rows)),
        left > 0 ? element('button', { type: 'button', text: `${Format.grouped(left)} more functions`,
          onclick: () => { this.limit *= 5; this.render() } }) : null,
        ids.length ? null : element('p', { className: 'dim', text: app.nothing() }))
      this.renderSandwich(ids)
    }

    headCell(key, label) {
      return element('th', { scope: 'col', className: key === 'name' ? '' : `number ${key}`, 'aria-sort': this.sort === key ? 'descending' : 'none' },
        element('button', { type: 'button', className: 'link', text: label, 'data-sort': key, onclick: () => { this.sort = key; this.render() } }))
    }

    row(fn) {
      const { app } = this
      const { fns, model } = app
      const cells = [
        element('td', { className: 'number', text: fns.self[fn] ? app.weight(fns.self[fn]) : '' }), shareCell(fns.self[fn], fns.all),
        element('td', { className: 'number', text: app.weight(fns.total[fn]) }), shareCell(fns.total[fn], fns.all),
        element('td', { className: 'number native', text: fns.native[fn] ? app.weight(fns.native[fn]) : '' }),
        nameCell(model, fn, () => app.go({ fn })),
      ]
      const row = element('tr', { 'data-function': fn, className: fn === app.state.fn ? 'chosen' : '' }, ...cells)
      row.dataset.self = fns.self[fn]
      row.dataset.total = fns.total[fn]
      row.dataset.native = fns.native[fn]
      row.dataset.name = model.functions.name[fn]
      return row
    }

    list(title, entries, whole) {
      const { app } = this
      const rows = entries.slice(0, 30).map(([fn, weight]) => {
        const row = element('tr', {}, element('td', { className: 'number', text: app.weight(weight) }), shareCell(weight, whole),
          fn < 0 ? element('td', { className: 'dim', text: '(root of the thread)' }) : nameCell(app.model, fn, () => app.go({ fn })))
        row.dataset.name = fn < 0 ? '' : app.model.functions.name[fn]
        row.dataset.weight = weight
        return row
      })
      const more = entries.length > 30 ? element('p', { className: 'dim', text: `and ${entries.length - 30} more` }) : null
      return element('section', { className: title.toLowerCase() }, element('h3', { text: title }),
        rows.length ? element('table', {}, element('tbody', {}, ...rows)) : element('p', { className: 'dim', text: 'none' }), more)
    }

    renderSandwich(ids) {
      const { app } = this
      const { model, fns } = app
      const fn = app.state.fn >= 0 ? app.state.fn : ids[0]
      if (fn === undefined) {
        Format.replace(this.sandwich)
        return
      }
      const { callers, callees } = neighbours(model, app.calls, fn)
      const whole = fns.total[fn]
      const callersGraph = element('div', { className: 'graph small', tabindex: 0, 'aria-label': 'Callers as a graph' })
      const calleesGraph = element('div', { className: 'graph small', tabindex: 0, 'aria-label': 'Callees as a graph' })
      Format.replace(this.sandwich,
        element('h2', {}, dot(model, fn), named(model.functions.name[fn])),
        element('p', { className: 'dim' }, named(Data.place(model, fn)),
          ` · self ${app.weight(fns.self[fn])} (${Format.percent(fns.self[fn], fns.all)}) · total ${app.weight(whole)} (${Format.percent(whole, fns.all)})`),
        element('p', { className: 'bar' },
          element('button', { type: 'button', text: 'Find in flame graph', onclick: () => app.find(fn) }),
          app.hasSource(fn) ? element('button', { type: 'button', text: 'Show source', onclick: () => app.showSource(fn) }) : null,
          model.code.has(fn) ? element('button', { type: 'button', text: 'Show instructions', onclick: () => app.go({ tab: 'native', code: fn }) }) : null),
        this.list('Callers', callers, whole), callersGraph, this.list('Callees', callees, whole), calleesGraph)
      this.graphOf(callersGraph, fn, true)
      this.graphOf(calleesGraph, fn, false)
    }

    // Once the browser lays the page out anyway: to ask for the graph's width before would do that twice.
    graphOf(holder, fn, inverted) {
      const { app } = this
      const graph = new Graph.FlameGraph(holder, this.hooks)
      const tree = new Tree.CallTree(app.model, app.calls, { from: fn, inverted, frames: app.state.frames })
      requestAnimationFrame(() => graph.show(tree, { upwards: inverted }))
    }
  }

  return { View, shareCell, dot, nameCell }
})()
