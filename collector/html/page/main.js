// SPDX-License-Identifier: MIT
// The page as a whole: from what is looked at (the state) to sums, and from these to the view that is shown.
//
//   format.js      quantities, names, elements      timeline.js   the recording over time, the choice of time
//   data.js        what a page was given            functions.js  table of functions, callers and callees
//   profile.js     what this one was given          source.js     lines of files
//   sums.js        sums for metric, threads, time   native.js     libraries, their functions and lines
//   tree.js        boxes of a flame graph           summary.js    the recording in figures
//   colors.js      of kinds, libraries, states      address.js    what is looked at, as address
//   graph.js       the flame graph                  state.js      what is looked at here
//   shell.js       theme, tabs, search, keys        controls.js   metric, threads, time
//   instructions.js   of native functions
//
// All of them are in one scope, in the order of CMakeLists.txt: each gives away one name. The page of a diff is
// made of some of them: see diff.js.
const App = (() => {
  const { byId, tooltip } = Shell
  const { element, named } = Format

  class Page {
    constructor(model) {
      this.model = model
      this.go = this.go.bind(this)
      this.state = State.read(location.hash, model)
      const present = Sums.present(model)
      if (!present.includes(this.state.metric))
        this.state.metric = present[0] || 'cpu'
      this.title = model.title || model.info.recording.command
    }

    start() {
      const { model } = this
      document.title = `${Format.name(this.title)} – Pillion`
      Format.replace(byId('title'), named(this.title))
      const [first] = model.info.processes
      byId('subtitle').textContent = [first && first.python_version && `Python ${first.python_version}`, Format.name(model.info.recording.host),
        new Date(model.info.recording.start_unix_ns / 1e6).toISOString().slice(0, 16).replace('T', ' ') + ' UTC', model.made_by].filter(Boolean).join(' · ')
      Summary.showFacts(model.info, byId('facts'))
      Format.replace(byId('left-out'), ...model.left_out.map(text => element('p', { text })))
      byId('page').hidden = false
      Controls.metrics(this)
      Controls.listen(this)
      this.makeViews()
      this.render(true)
    }

    makeViews() {
      const { model } = this
      const whole = Sums.byCall(model, { threads: model.threads.map(() => true) }, Sums.METRICS.wall.classes)
      Colors.rank(model, Sums.byFunction(model, whole).self)
      this.graph = new Graph.FlameGraph(byId('graph-view'), {
        color: box => this.color(box), label: box => this.label(box), describe: (box, graph, event) => this.describe(box, graph, event),
        zoomed: box => this.zoomed(box), picked: box => this.go({ tab: 'functions', fn: box.fn }),
      })
      // On paper nothing can be scrolled to: it takes another height.
      matchMedia('print').addEventListener('change', () => this.state.tab === 'graph' && this.renderGraph())
      this.timeline = new Timeline.View(this.model, byId('timeline-canvas'), byId('timeline-legend'), {
        changed: range => this.go({ range }), describe: (lines, event) => tooltip(lines && lines.map(text => element('div', { text })), event),
      })
      this.functions = new Functions.View(this, byId('function-table'), byId('sandwich'))
      this.source = new Source.View(this, byId('files'), byId('listing'))
      this.native = new Native.View(this, byId('native-tree'))
    }

    // ---------------------------------------------------------------- state

    // Changes what is looked at, and the address with it.
    go(change) {
      const before = this.state
      this.state = { ...before, ...change }
      history.replaceState(null, '', State.write(this.state))
      tooltip(null)
      this.render(['metric', 'threads', 'range'].some(key => this.state[key] !== before[key]))
    }

    restore() {
      if (State.write(this.state) === location.hash)
        return
      this.state = State.read(location.hash, this.model)
      this.render(true)
    }

    // Escape: one step back to everything.
    back() {
      if (this.state.tab === 'native' && this.state.code >= 0) {
        this.go({ code: -1 })
      } else if (this.state.search) {
        byId('search').blur()
        this.go({ search: '' })
      } else if (this.state.zoom.length) {
        this.go({ zoom: [] })
      } else if (this.state.range) {
        this.go({ range: null })
      }
    }

    // ----------------------------------------------------------------- sums

    sum() {
      const { model, state } = this
      const kept = state.threads && new Set(state.threads)
      this.filter = { threads: model.threads.map((_, i) => !kept || kept.has(i)), range: state.range }
      this.calls = Sums.byCall(model, this.filter, Sums.METRICS[state.metric].classes)
      this.fns = Sums.byFunction(model, this.calls)
    }

    // By function, and by call for "file.py:12".
    search() {
      const { functions, nodes } = this.model
      const pattern = Shell.pattern(this.state.search)
      this.matches = null
      this.matchesBox = null
      byId('matched').textContent = ''
      if (!pattern)
        return
      const named = functions.name.map((name, fn) => pattern.test(name) || pattern.test(functions.file[fn]) || pattern.test(functions.library[fn]))
      const place = new Map()
      const at = (fn, line) => {
        const key = fn * 0x200000 + line
        if (!place.has(key))
          place.set(key, pattern.test(`${functions.file[fn]}:${line}`))
        return place.get(key)
      }
      const isPlace = /:\d+/.test(this.state.search)
      const matchesCall = n => named[nodes.fn[n]] || (isPlace && nodes.line[n] > 0 && at(nodes.fn[n], nodes.line[n]))
      const withCall = new Uint8Array(functions.count)
      for (let n = 0; n < nodes.count; n++)
        withCall[nodes.fn[n]] |= matchesCall(n) ? 1 : 0
      this.matches = fn => withCall[fn] === 1
      this.matchesBox = box => named[box.fn] || (isPlace && box.calls.some(matchesCall))
      this.matched = Tree.matched(this.model.nodes, this.calls.self, matchesCall)
      byId('matched').textContent = `${Format.percent(this.matched, this.calls.all)} matched`
      byId('matched').dataset.weight = this.matched
    }

    // --------------------------------------------------------------- render

    render(newSums = false) {
      const before = performance.now()
      if (newSums)
        this.sum()
      this.search()
      Controls.render(this)
      this.timeline.setFilter(this.filter.threads, this.state.range)
      const draw = { graph: () => this.renderGraph(), functions: () => this.functions.render(), source: () => this.source.render(),
        native: () => this.native.render(), summary: () => Summary.render(this.model, byId('summary')) }
      draw[this.state.tab]()
      // For whoever waits for it.
      document.documentElement.dataset.range = (this.state.range || []).join('.')
      document.documentElement.dataset.renderMs = (performance.now() - before).toFixed(1)
    }

    renderGraph() {
      const { inverted, byLine, frames, upwards, zoom } = this.state
      const tree = new Tree.CallTree(this.model, this.calls, { inverted, byLine, frames })
      this.graph.zoom = null
      this.graph.tree = tree
      this.graph.zoom = tree.follow(zoom)
      this.graph.show(tree, { upwards, matches: this.matchesBox })
      this.renderCrumbs()
      this.renderLegend()
      this.describe(null, this.graph)
    }

    renderCrumbs() {
      Shell.crumbs(this.graph, byId('crumbs'), box => this.model.functions.short[box.fn])
    }

    renderLegend() {
      const used = new Set(this.model.functions.kind)
      const kinds = ['python', 'native', 'guessed', 'gc', 'gil', 'blocked', 'runnable', 'small']
      const has = { python: used.has(0), native: used.has(1), guessed: this.model.nodes.guessed.includes(1), gc: used.has(2), gil: used.has(3),
        blocked: used.has(4), runnable: used.has(5), small: used.has(6) }
      const items = this.state.color === 'kind' ? kinds.filter(kind => has[kind]).map(kind => Timeline.legendItem(Colors.KINDS[kind])) : this.libraryLegend()
      Format.replace(byId('graph-legend'), ...items)
    }

    // The libraries and packages with the most of their own.
    libraryLegend() {
      const sums = new Map()
      for (let fn = 0; fn < this.model.functions.count; fn++) {
        const weight = this.fns.self[fn]
        const { key, name, path } = Colors.libraryOf(this.model, fn)
        if (weight)
          sums.set(key, { fn, name, path, weight: (sums.get(key) || { weight: 0 }).weight + weight })
      }
      return [...sums.values()].sort((a, b) => b.weight - a.weight).slice(0, 10).map(({ fn, name, path }) => {
        const swatch = element('span', { className: 'swatch' })
        swatch.style.background = Colors.byLibrary(this.model, { fn, guessed: false })
        return element('span', { className: 'item', title: path && Format.name(path) }, swatch, named(name))
      })
    }

    // ------------------------------------------------------ for the views

    zoomed(box) {
      const zoom = this.graph.tree.pathOf(box).map(({ fn }) => fn)
      this.state = { ...this.state, zoom }
      this.writeAddressSeldom()
      this.renderCrumbs()
    }

    // The first time at once, and what follows soon after together: an address takes some milliseconds to
    // change, and some browsers refuse to do that often.
    writeAddressSeldom() {
      if (this.pending)
        return
      history.replaceState(null, '', State.write(this.state))
      const written = this.state
      this.pending = setTimeout(() => {
        this.pending = 0
        if (this.state !== written)
          this.writeAddressSeldom()
      }, 300)
    }

    weight(value) {
      return Sums.METRICS[this.state.metric].memory ? Format.bytes(value) : Format.duration(value)
    }

    color(box) {
      return this.state.color === 'library' ? Colors.byLibrary(this.model, box) : Colors.byKind(this.model, box)
    }

    label(box) {
      if (!box.parent)
        return `all ${this.weight(box.weight)}`
      const name = Format.name(this.model.functions.short[box.fn])
      return box.line ? `${name}:${box.line}` : name
    }

    nothing() {
      return `No ${Sums.METRICS[this.state.metric].text} in what is looked at.`
    }

    describe(box, graph, event) {
      const isMain = graph === this.graph
      if (!box || !box.parent) {
        tooltip(null)
        if (isMain)
          byId('graph-detail').textContent = this.calls.all ? `${this.weight(this.calls.all)}: ${Sums.METRICS[this.state.metric].text}` : this.nothing()
        return
      }
      const { functions } = this.model
      const parts = [`${this.weight(box.weight)} · ${Format.percent(box.weight, this.calls.all)} of all`]
      if (box.parent.parent)
        parts.push(`${Format.percent(box.weight, box.parent.weight)} of ${graph.tree.inverted ? 'the callee' : 'its caller'}`)
      if (!graph.tree.inverted)
        parts.push(`self ${this.weight(graph.tree.selfOf(box))}`)
      const where = Data.place(this.model, box.fn)
      const what = () => [named(functions.name[box.fn]), box.line ? `:${box.line}` : null, where ? element('span', { className: 'dim' }, ' ', named(where)) : null]
      if (isMain)
        Format.replace(byId('graph-detail'), ...what(), ` · ${parts.join(' · ')}`)
      tooltip(event && [element('div', { className: 'strong' }, ...what()), ...parts.map(text => element('div', { text }))], event)
    }

    find(fn) {
      this.go({ tab: 'graph', search: `^${Shell.escaped(this.model.functions.name[fn])}$`, zoom: [] })
    }

    hasSource(fn) {
      return Boolean(this.model.functions.file[fn])
    }

    showSource(fn) {
      this.go({ tab: 'source', file: this.model.functions.file[fn], line: this.model.functions.line[fn] })
    }
  }

  return { Page }
})()

Shell.open(Profile.modelOf, model => new App.Page(model).start())
