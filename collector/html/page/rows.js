// SPDX-License-Identifier: MIT
// The tables of a diff: functions or lines with what they have in A and in B, the change, and the noise of it.
const Rows = (() => {
  const { element, named } = Format
  const { A, B } = Changes
  const SHOWN = 100
  const SORTS = ['rank', 'self', 'total', 'name']

  class View {
    // `key`: "functions" or "lines"
    constructor(app, holder, key) {
      Object.assign(this, { app, holder, rows: app.model.rows[key], hasLines: key === 'lines', limit: SHOWN })
      if (this.hasLines) // one without a number is a function once more
        this.rows = this.rows.filter(row => row.line[this.side(row)])
    }

    side(row) {
      return row.has[B] ? B : A
    }

    ordered() {
      const { model, state, matches } = this.app
      const { name } = model.functions
      const by = {
        rank: (a, b) => a.rank - b.rank,
        self: (a, b) => Math.abs(b.self.change) - Math.abs(a.self.change) || a.rank - b.rank,
        total: (a, b) => Math.abs(b.total.change) - Math.abs(a.total.change) || a.rank - b.rank,
        name: (a, b) => name[a.fn] < name[b.fn] ? -1 : name[a.fn] > name[b.fn] ? 1 : a.rank - b.rank,
      }
      return this.rows.filter(row => !matches || matches(row.fn)).sort(by[state.sort])
    }

    render() {
      const rows = this.ordered()
      const left = Math.max(rows.length - this.limit, 0)
      Format.replace(this.holder,
        element('div', { className: 'scroll' }, element('table', { className: 'changes' }, this.head(),
          element('tbody', {}, ...rows.slice(0, this.limit).map(row => this.row(row))))),
        left ? element('button', { type: 'button', className: 'more', text: `${Format.grouped(left)} more ${this.hasLines ? 'lines' : 'functions'}`,
          onclick: () => { this.limit *= 5; this.render() } }) : null,
        rows.length ? null : element('p', { className: 'dim', text: 'Nothing here has that name.' }))
    }

    sortButton(key, label) {
      return element('button', { type: 'button', className: 'link', text: label, 'data-sort': key, onclick: () => this.app.go({ sort: key }) })
    }

    head() {
      const { state, model } = this.app
      const sorted = key => state.sort === key ? 'descending' : 'none'
      const unit = model.absolute ? '' : ' %'
      const parts = (key, label) => [`A ${label}${unit}`, `B ${label}${unit}`, `${label} change`, 'noise'].map((text, i) => i === 2
        ? element('th', { scope: 'col', className: `number ${key} change`, 'aria-sort': sorted(key) }, this.sortButton(key, text))
        : element('th', { scope: 'col', className: `number ${key} ${['a', 'b', '', 'noise'][i]}`, text }))
      return element('thead', {}, element('tr', {}, ...parts('self', 'self'), ...parts('total', 'total'),
        element('th', { scope: 'col', 'aria-sort': sorted('name') }, this.sortButton('name', this.hasLines ? 'Line' : 'Function'), ' ',
          this.sortButton('rank', 'beyond noise first'))))
    }

    // In A, in B, change, noise; what is beyond noise has an arrow.
    cells(row, key) {
      const { model } = this.app
      const { weight, change, noise, real } = row[key]
      const arrow = !real ? '' : change > 0 ? '▲ ' : '▼ '
      const kind = !real ? 'dim' : change > 0 ? 'grew' : 'shrank'
      return [...[A, B].map(side => element('td', { className: `number ${key} ${side === A ? 'a' : 'b'}${real ? '' : ' dim'}`,
        text: row.has[side] ? Changes.quantity(model, Changes.valueOf(model, side, weight[side])) : '–' })),
      element('td', { className: `number ${key} change ${kind}`, title: real ? 'beyond noise' : 'may be chance', text: arrow + Changes.signed(model, change) }),
      element('td', { className: `number ${key} noise dim`, text: Changes.quantity(model, noise) })]
    }

    place(row) {
      const { functions } = this.app.model
      const line = row.line[this.side(row)]
      if (!this.hasLines)
        return Data.place(this.app.model, row.fn)
      return `${Format.shortPath(functions.shortFile[row.fn] || functions.library[row.fn])}:${line}`
    }

    row(row) {
      const { app } = this
      const { functions } = app.model
      const made = element('tr', { className: row.self.real || row.total.real ? 'real' : '' }, ...this.cells(row, 'self'), ...this.cells(row, 'total'),
        element('td', { className: 'name' }, element('button', { type: 'button', className: 'link', title: Format.name(functions.name[row.fn]), onclick: () => app.find(row.fn) },
          named(functions.short[row.fn])), ' ', named(this.place(row), { className: 'dim' })))
      Object.assign(made.dataset, { name: functions.name[row.fn], line: row.line.join(' '), has: row.has.map(Number).join(' ') })
      for (const key of ['self', 'total']) {
        const { weight, samples, change, noise, real } = row[key]
        made.dataset[key] = JSON.stringify({ weight, samples, change, noise, real })
      }
      return made
    }
  }

  return { View, SORTS }
})()
