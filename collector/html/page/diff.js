// SPDX-License-Identifier: MIT
// The page of a diff as a whole: one tree of the calls of two profiles, coloured by what grew and what shrank, and
// the tables of `pillion diff`. Besides what it shares with the page of a profile (see main.js):
//
//   changes.js   what this page was given; what calls have in A and B, and the noise of the difference
//   rows.js      functions and lines as tables
const Diff = (() => {
  const { A, B } = Changes
  const { byId, tooltip } = Shell
  const { element, named } = Format
  const { flag, text, list, oneOf } = Address
  const START = {
    tab: 'graph', width: 'b', search: '', inverted: false, upwards: false, noise: false, frames: 'folded', theme: 'system', zoom: [], sort: 'rank',
  }
  const KINDS = {
    tab: oneOf(['graph', 'functions', 'lines', 'summary']), width: oneOf(['a', 'b', 'both']), search: text, inverted: flag, upwards: flag, noise: flag,
    frames: Address.frames, theme: Address.theme, zoom: list, sort: oneOf(Rows.SORTS),
  }
  const TABS = { g: 'graph', f: 'functions', l: 'lines', i: 'summary' }
  const BOXES = [['invert', 'inverted'], ['upwards', 'upwards', true], ['with-noise', 'noise', true]]
  const KEYS = [
    ['g f l i', 'flame graph, functions, lines, summary (info)'], ['a b', 'widths of A, of B'], ['/', 'search'], ['Esc', 'end the search, zoom out'],
    ['0', 'zoom out'], ['v', 'invert the flame graph'], ['t', 'theme'], ['p', 'print'], ['?', 'these keys'], ['Arrows, Enter', 'in the flame graph: move, zoom'],
  ]

  class Page {
    constructor(model) {
      this.model = model
      this.go = this.go.bind(this)
      this.present = Changes.present(model)
      this.state = this.read()
    }

    start() {
      const { model } = this
      const title = model.title || model.sides.map(side => side.path.split('/').pop().replace(/\.pillion$/, '')).join(' → ')
      document.title = `${Format.name(title)} – Pillion`
      Format.replace(byId('title'), named(title))
      byId('subtitle').textContent = [model.view_text, model.absolute ? 'amounts as they are' : 'shares of the whole', ...this.filters(), model.made_by].join(' · ')
      this.showFigures()
      Format.replace(byId('left-out'), ...model.left_out.map(line => element('p', { text: line })))
      byId('page').hidden = false
      this.graph = new Graph.FlameGraph(byId('graph-view'), {
        outlines: true,
        color: box => Changes.color(model, this.change(box), this.state.noise), label: box => this.label(box),
        describe: (box, graph, event) => this.describe(box, event), zoomed: box => this.zoomed(box), picked: box => this.go({ tab: 'functions', search: this.exactly(box.fn) }),
      })
      this.tables = { functions: new Rows.View(this, byId('functions'), 'functions'), lines: new Rows.View(this, byId('lines'), 'lines') }
      Shell.listen(this, { keys: KEYS, tabs: TABS, boxes: BOXES, others: key => this.press(key) })
      for (const id of ['width', 'frames'])
        byId(id).addEventListener('change', event => this.go({ [id]: event.target.value, ...id === 'frames' ? { zoom: [] } : {} }))
      this.render()
    }

    filters() {
      const { thread_filter: threads, process_filter: processes } = this.model
      return [threads && `threads "${threads}"`, processes && `processes "${processes}"`].filter(Boolean).map(Format.name)
    }

    // --------------------------------------------------------------- header

    showFigures() {
      const { model } = this
      const amount = value => model.memory ? Format.bytes(value) : Format.duration(value)
      const side = of => element('data', { value: String(of.weight), title: Format.name(`${of.path}: ${of.command}`),
        text: `${amount(of.weight)} in ${Format.grouped(of.samples)} samples` })
      const [a, b] = model.sides
      const whole = a.weight ? `${model.whole_change < 0 ? '−' : '+'}${(Math.abs(model.whole_change) / a.weight * 100).toFixed(1)} %, noise ${(model.whole_noise / a.weight * 100).toFixed(1)} %` : '–'
      Summary.showFigures([
        ['A', side(a)], ['B', side(b)], ['The whole', whole], ['Grew beyond noise', Format.grouped(model.grew)], ['Shrank beyond noise', Format.grouped(model.shrank)],
        ['Functions', Format.grouped(model.rows.functions.length)],
      ], byId('facts'))
      byId('noise-note').textContent = `Noise is what sampling alone may do: ${model.standard_errors.toFixed(1)} standard errors, which one of `
        + `${Format.grouped(model.comparisons)} comparisons exceeds by chance in one of 100 diffs at most.`
    }

    // ---------------------------------------------------------------- state

    read() {
      const state = Address.read(location.hash, START, KINDS)
      state.zoom = state.zoom.filter(fn => fn < this.model.functions.count)
      return state
    }

    keep(change) {
      this.state = { ...this.state, ...change }
      history.replaceState(null, '', Address.write(this.state, START, KINDS))
    }

    go(change) {
      this.keep(change)
      tooltip(null)
      this.render()
    }

    restore() {
      if (Address.write(this.state, START, KINDS) === location.hash)
        return
      this.state = this.read()
      this.render()
    }

    back() {
      if (this.state.search) {
        byId('search').blur()
        this.go({ search: '' })
      } else if (this.state.zoom.length) {
        this.go({ zoom: [] })
      }
    }

    press(key) {
      if (key !== 'a' && key !== 'b')
        return false
      this.go({ width: key })
      return true
    }

    exactly(fn) {
      return `^${Shell.escaped(this.model.functions.name[fn])}$`
    }

    find(fn) {
      this.go({ tab: 'graph', search: this.exactly(fn), zoom: [] })
    }

    // --------------------------------------------------------------- render

    // By function: what is searched for, and the shares that it is on the stack of.
    search() {
      const { functions, nodes, sums } = this.model
      const pattern = Shell.pattern(this.state.search)
      this.matches = null
      byId('matched').textContent = ''
      if (!pattern)
        return
      const named = functions.name.map((name, fn) => pattern.test(name) || pattern.test(functions.file[fn]) || pattern.test(functions.library[fn]))
      this.matches = fn => named[fn]
      const found = sums.map(({ self }) => Tree.matched(nodes, self, n => named[nodes.fn[n]]))
      byId('matched').textContent = `${Format.percent(found[A], sums[A].all)} of A, ${Format.percent(found[B], sums[B].all)} of B matched`
      byId('matched').dataset.weights = found.join(' ')
    }

    render() {
      Shell.render(this, BOXES)
      this.search()
      byId('width').value = this.state.width
      byId('frames').value = this.state.frames
      if (this.state.tab === 'graph')
        this.renderGraph()
      else if (this.state.tab === 'summary')
        Summary.compare(this.model.infos, byId('summary'))
      else
        this.tables[this.state.tab].render()
    }

    renderGraph() {
      const { inverted, frames, upwards, zoom, width } = this.state
      const tree = new Tree.CallTree(this.model, Changes.widths(this.model, width), { inverted, frames, has: this.present })
      this.graph.zoom = null
      this.graph.tree = tree
      this.graph.zoom = tree.follow(zoom)
      this.graph.show(tree, { upwards, matches: this.matches && (box => this.matches(box.fn)) })
      this.renderCrumbs()
      this.renderLegend()
      this.describe(null)
    }

    renderCrumbs() {
      Shell.crumbs(this.graph, byId('crumbs'), box => this.model.functions.short[box.fn])
    }

    renderLegend() {
      const item = (label, hue, part) => {
        const swatch = element('span', { className: 'swatch' })
        swatch.style.background = Changes.tint(hue, part)
        return element('span', { className: 'item' }, swatch, label)
      }
      const full = `by ${Changes.FULL * 100} ${this.model.absolute ? '% of the whole' : 'points'} or more`
      Format.replace(byId('graph-legend'), item(`shrank ${full}`, Changes.SHRANK, 1), item('shrank by less', Changes.SHRANK, 0.3),
        this.state.noise ? null : item('within noise', 0, 0), item('grew by less', Changes.GREW, 0.3), item(`grew ${full}`, Changes.GREW, 1))
    }

    zoomed(box) {
      this.keep({ zoom: this.graph.tree.pathOf(box).map(({ fn }) => fn) })
      this.renderCrumbs()
    }

    // ---------------------------------------------------------------- boxes

    change(box) {
      return Changes.ofBox(this.model, this.graph.tree, box)
    }

    label(box) {
      const { model } = this
      const change = this.change(box)
      const name = box.parent ? Format.name(model.functions.short[box.fn]) : 'all'
      const only = Changes.onlyIn(change)
      return change.real ? `${name}${only && ` (${only} only)`} ${Changes.signed(model, change.change)}` : name
    }

    // "A 12.3 %, 1.2 s": the share, and the amount that it is.
    sideText(change, side) {
      const { model } = this
      const amount = model.memory ? Format.bytes(change.weight[side]) : Format.duration(change.weight[side])
      return `${'AB'[side]} ${model.absolute ? '' : `${Changes.quantity(model, change.value[side])} %, `}${amount}`
    }

    describe(box, event) {
      const detail = byId('graph-detail')
      if (!box || !box.parent) {
        tooltip(null)
        detail.textContent = ''
        return
      }
      const { model } = this
      const change = this.change(box)
      const points = model.absolute ? '' : ' points'
      const only = Changes.onlyIn(change)
      const parts = [this.sideText(change, A), this.sideText(change, B),
        `${Changes.signed(model, change.change)}${points}, noise ${Changes.quantity(model, change.noise)}: ${change.real ? 'beyond noise' : 'may be chance'}`,
        ...only ? [`only in ${only}`] : []]
      const where = Data.place(model, box.fn)
      const what = () => [named(model.functions.name[box.fn]), where ? element('span', { className: 'dim' }, ' ', named(where)) : null]
      Format.replace(detail, ...what(), ` · ${parts.join(' · ')}`)
      detail.dataset.change = JSON.stringify({ weight: change.weight, change: change.change, noise: change.noise, real: change.real })
      tooltip(event && [element('div', { className: 'strong' }, ...what()), ...parts.map(line => element('div', { text: line }))], event)
    }
  }

  return { Page }
})()

Shell.open(Changes.modelOf, model => new Diff.Page(model).start())
