// SPDX-License-Identifier: MIT
// Native hotspots: libraries, their functions, the lines of these, and the lines of Python that lead there.
const Native = (() => {
  const { KIND } = Data
  const { element, named } = Format
  const ROWS = 40

  function add(map, key, make, weight) {
    let entry = map.get(key)
    if (!entry)
      map.set(key, entry = { weight: 0, ...make() })
    entry.weight += weight
    return entry
  }

  function ordered(map) {
    return [...map.values()].sort((a, b) => b.weight - a.weight)
  }

  // library -> function -> lines of its own, and of Python
  function hotspots(model, calls) {
    const { nodes, functions } = model
    const libraries = new Map()
    for (let n = 0; n < nodes.count; n++) {
      const weight = calls.self[n]
      const owner = nodes.owner[n]
      const fn = nodes.fn[owner]
      if (!weight || (functions.kind[fn] !== KIND.native && functions.kind[fn] !== KIND.gc))
        continue
      const path = functions.libraryPath[fn]
      const library = add(libraries, path, () => ({ path, name: functions.library[fn] || '(no library)', functions: new Map() }), weight)
      const entry = add(library.functions, fn, () => ({ fn, lines: new Map(), python: new Map() }), weight)
      add(entry.lines, nodes.line[owner], () => ({ line: nodes.line[owner] }), weight)
      const python = nodes.python[owner]
      const key = python < 0 ? '' : `${nodes.fn[python]}:${nodes.line[python]}`
      add(entry.python, key, () => ({ fn: python < 0 ? -1 : nodes.fn[python], line: python < 0 ? 0 : nodes.line[python] }), weight)
    }
    return ordered(libraries)
  }

  class View {
    constructor(app, holder) {
      Object.assign(this, { app, holder, open: new Set() })
    }

    render() {
      const { app } = this
      const code = app.model.code.get(app.state.code)
      if (code) {
        Instructions.render(app, this.holder, code)
        return
      }
      const libraries = hotspots(app.model, app.calls)
      Format.replace(this.holder, ...libraries.map((library, i) => this.library(library, i)),
        libraries.length ? null : element('p', { className: 'dim', text: app.nothing() }),
        app.model.code_note ? element('p', { className: 'code-note dim', text: app.model.code_note }) : null)
    }

    // A row that opens; what is in it is made when it does.
    fold(key, isOpen, summary, fill) {
      const details = element('details', { open: this.open.has(key) || isOpen }, summary)
      const filled = () => {
        if (details.open && details.children.length === 1)
          details.append(...fill())
      }
      details.addEventListener('toggle', () => {
        this.open[details.open ? 'add' : 'delete'](key)
        filled()
      })
      filled()
      return details
    }

    heading(weight, ...what) {
      const { app } = this
      return [element('span', { className: 'number', text: app.weight(weight) }),
        element('span', { className: 'number dim', text: Format.percent(weight, app.calls.all) }), ...what]
    }

    library(library, index) {
      const entries = ordered(library.functions)
      const summary = element('summary', { className: 'library' }, ...this.heading(library.weight, named(library.name, { title: Format.name(library.path) })))
      summary.dataset.weight = library.weight
      return this.fold(`library ${library.path}`, index < 2, summary, () => [
        ...entries.slice(0, ROWS).map(entry => this.function(entry)),
        ...entries.length > ROWS ? [element('p', { className: 'dim', text: `and ${entries.length - ROWS} more functions` })] : []])
    }

    function(entry) {
      const { app } = this
      const { functions } = app.model
      const [top] = ordered(entry.python)
      const lead = top && top.fn >= 0 ? element('span', { className: 'dim' }, ' from ', named(this.pythonPlace(top))) : null
      const summary = element('summary', { className: 'function' }, ...this.heading(entry.weight, Functions.dot(app.model, entry.fn),
        named(functions.short[entry.fn], { title: Format.name(functions.name[entry.fn]) }), lead))
      summary.dataset.name = functions.name[entry.fn]
      summary.dataset.weight = entry.weight
      return this.fold(`function ${entry.fn}`, false, summary, () => [this.instructions(entry), this.leads(entry), this.lines(entry)].filter(Boolean))
    }

    instructions({ fn }) {
      const { app } = this
      return app.model.code.has(fn) ? element('section', {}, Instructions.link(app, fn, 'Its instructions')) : null
    }

    pythonPlace({ fn, line }) {
      const { functions } = this.app.model
      return `${Format.shortPath(functions.shortFile[fn])}:${line || '?'} ${functions.name[fn]}`
    }

    row(weight, whole, ...what) {
      const row = element('tr', {}, element('td', { className: 'number', text: this.app.weight(weight) }),
        Functions.shareCell(weight, whole), element('td', { className: 'name' }, ...what))
      row.dataset.weight = weight
      return row
    }

    leads(entry) {
      const { app } = this
      const rows = ordered(entry.python).slice(0, ROWS).map(lead => this.row(lead.weight, entry.weight, lead.fn < 0
        ? element('span', { className: 'dim', text: '(no Python code calls it)' })
        : element('button', { type: 'button', className: 'link', onclick: () => app.go({ tab: 'source', file: app.model.functions.file[lead.fn], line: lead.line }) },
          named(this.pythonPlace(lead)))))
      return element('section', { className: 'leads' }, element('h3', { text: 'Python lines that lead here' }), element('table', {}, element('tbody', {}, ...rows)))
    }

    lines(entry) {
      const { functions } = this.app.model
      const file = functions.shortFile[entry.fn]
      if (!file && ![...entry.lines.keys()].some(Boolean))
        return element('p', { className: 'dim', text: 'Lines of its own are not known: no debug information.' })
      const rows = ordered(entry.lines).slice(0, ROWS).map(({ line, weight }) => this.row(weight, entry.weight, named(`${Format.shortPath(file, 60) || '?'}:${line || '?'}`)))
      return element('section', {}, element('h3', { text: 'Its own lines' }), element('table', {}, element('tbody', {}, ...rows)))
    }
  }

  return { View }
})()
