// SPDX-License-Identifier: MIT
// Sums over cells: what every view shows comes from here, for a metric, some threads and a range of time.
const Sums = (() => {
  const { KIND } = Data
  const { CLASS, GIL } = Profile
  const cpu = [0, 1, 2, 3].map(gil => CLASS.cpu + gil)
  const off = [0, 1, 2, 3].map(gil => CLASS.offcpu + gil)
  const METRICS = {
    cpu: { label: 'CPU', text: 'time on a CPU', classes: cpu },
    wall: { label: 'Wall', text: 'time on a CPU, blocked, or waiting for a CPU', classes: [...cpu, ...off, CLASS.runnable] },
    offcpu: { label: 'Off-CPU', text: 'time blocked', classes: off },
    gil: { label: 'GIL', text: 'time holding the GIL or waiting for it',
      classes: [CLASS.cpu + GIL.holds, CLASS.cpu + GIL.waits, CLASS.offcpu + GIL.holds, CLASS.offcpu + GIL.waits] },
    allocated: { label: 'Allocated', text: 'memory allocated (an estimate)', classes: [CLASS.allocated], memory: true },
    live: { label: 'Live', text: 'memory never freed (an estimate)', classes: [CLASS.live], memory: true },
    peak: { label: 'Peak', text: 'memory live when most was (an estimate)', classes: [CLASS.peak], memory: true },
    temporary: { label: 'Temporary', text: 'memory freed within 1 ms (an estimate)', classes: [CLASS.temporary], memory: true },
  }

  function maskOf(classes) {
    return classes.reduce((mask, cls) => mask | 1 << cls, 0)
  }

  // First cell of a run, from `from` on, that is not before `moment`: moments ascend in a run.
  function firstAt(cells, from, end, moment) {
    let low = from
    let high = end
    while (low < high) {
      const middle = (low + high) >> 1
      if (cells.moment[middle] < moment)
        low = middle + 1
      else
        high = middle
    }
    return low
  }

  // Calls visit(first, last) for every stretch of cells that the filter and the classes keep.
  function each(model, filter, mask, visit) {
    const { cells } = model
    for (const run of cells.runs) {
      if (!(mask >> run.cls & 1) || !filter.threads[run.thread])
        continue
      let { start, end } = run
      if (filter.range) {
        start = firstAt(cells, start, end, filter.range[0])
        end = firstAt(cells, start, end, filter.range[1])
      }
      if (start < end)
        visit(start, end, run)
    }
  }

  // Adds the cells of some moments to `self`, or takes them away: weights are whole, so that nothing is left.
  function put(model, filter, mask, self, sign) {
    const { node, weight } = model.cells
    each(model, filter, mask, (start, end) => {
      for (let i = start; i < end; i++)
        self[node[i]] += sign * weight[i]
    })
  }

  // From one range of moments to another that it overlaps: the stretches to be added and taken away.
  function between([from, to], [newFrom, newTo]) {
    const stretches = []
    const add = (start, end, sign) => start < end && stretches.push({ range: [start, end], sign })
    add(newFrom, from, 1)
    add(from, newFrom, -1)
    add(to, newTo, 1)
    add(newTo, to, -1)
    return stretches
  }

  // What calls have of their own. The sums of each set of classes are kept: when the time is moved, as by a
  // brush, only what came in and what went out is added up.
  const kept = new WeakMap() // by model: mask -> { self, threads, range }
  function selfOf(model, filter, classes) {
    const mask = maskOf(classes)
    const range = filter.range || [0, model.moments]
    const threads = filter.threads.join()
    if (!kept.has(model))
      kept.set(model, new Map())
    let last = kept.get(model).get(mask)
    const isNear = last && last.threads === threads && range[0] < last.range[1] && last.range[0] < range[1] &&
      Math.abs(range[0] - last.range[0]) + Math.abs(range[1] - last.range[1]) < range[1] - range[0]
    const stretches = isNear ? between(last.range, range) : [{ range, sign: 1 }]
    if (!isNear)
      last = { self: new Float64Array(model.nodes.count), threads }
    for (const stretch of stretches)
      put(model, { threads: filter.threads, range: stretch.range }, mask, last.self, stretch.sign)
    kept.get(model).set(mask, { ...last, range })
    return last.self
  }

  // By call: its own weight, and that of all below it too.
  function byCall(model, filter, classes) {
    const { nodes } = model
    const self = selfOf(model, filter, classes).slice()
    const total = self.slice()
    let all = 0
    for (let n = nodes.count - 1; n >= 0; n--) {
      const parent = nodes.parent[n]
      if (parent >= 0)
        total[parent] += total[n]
      else
        all += total[n]
    }
    return { self, total, all }
  }

  // By function: self, total (once a stack, however deep it recurses), and native time below Python code.
  function byFunction(model, calls) {
    const { nodes, functions } = model
    const sums = {
      self: new Float64Array(functions.count), total: new Float64Array(functions.count),
      native: new Float64Array(functions.count), all: calls.all,
    }
    for (let n = 0; n < nodes.count; n++) {
      const owner = nodes.owner[n]
      if (calls.self[n]) {
        sums.self[nodes.fn[owner]] += calls.self[n]
        if (nodes.kind[owner] !== KIND.python && nodes.python[owner] >= 0)
          sums.native[nodes.fn[nodes.python[owner]]] += calls.self[n]
      }
      if (nodes.outer[n] && owner === n)
        sums.total[nodes.fn[n]] += calls.total[n]
    }
    return sums
  }

  // By file and line, in the columns of the source view: four of its own, and all below it.
  const COLUMN = { python: 0, native: 1, wait: 2, memory: 3, total: 4 }

  // By column, the metric that it is of, as `pillion annotate` has them. Next to the metric that is looked at, which
  // is of time or of memory, stands the usual one of the other kind; waits are the same for all.
  function columnMetrics(metric) {
    const time = metric.memory ? METRICS.cpu : metric
    return [time, time, METRICS.offcpu, metric.memory ? metric : METRICS.allocated, metric]
  }

  // The lines that a call counts for: that of the nearest Python code, and its own if it has a source file. What is
  // below it counts for its line, unless a caller of it is at the same one.
  const known = new WeakMap() // by model
  function placesOf(model) {
    if (known.has(model))
      return known.get(model)
    const { nodes, functions } = model
    const found = { count: 0, file: [], line: [], first: new Int32Array(nodes.count).fill(-1), second: new Int32Array(nodes.count).fill(-1),
      outer: new Int32Array(nodes.count).fill(-1) }
    const files = new Map()
    const idOf = n => {
      const file = functions.file[nodes.fn[n]]
      if (!files.has(file))
        files.set(file, new Map())
      const lines = files.get(file)
      if (!lines.has(nodes.line[n])) {
        lines.set(nodes.line[n], found.count++)
        found.file.push(file)
        found.line.push(nodes.line[n])
      }
      return lines.get(nodes.line[n])
    }
    const open = [] // by place: calls at it that we are in
    const path = []
    for (let n = 0; n < nodes.count; n++) {
      const owner = nodes.owner[n]
      while (path.length && path[path.length - 1].end <= n)
        open[path.pop().id]--
      if (owner === n && functions.file[nodes.fn[n]]) {
        const id = idOf(n)
        open[id] = (open[id] || 0) + 1
        found.outer[n] = open[id] === 1 ? id : -1
        path.push({ id, end: nodes.end[n] })
      }
      const at = nodes.python[owner] >= 0 ? nodes.python[owner] : owner
      if (functions.file[nodes.fn[at]])
        found.first[n] = idOf(at)
      if (at !== owner && functions.file[nodes.fn[owner]])
        found.second[n] = idOf(owner)
    }
    known.set(model, found)
    return found
  }

  // file -> line -> its columns. `calls` is of byCall() for the metric.
  function byLine(model, filter, calls, metric) {
    const { nodes } = model
    const places = placesOf(model)
    const width = Object.keys(COLUMN).length
    const sums = new Float64Array(places.count * width)
    const add = (id, column, weight) => {
      if (id >= 0)
        sums[id * width + column] += weight
    }
    const metrics = columnMetrics(metric)
    for (const column of [COLUMN.python, COLUMN.wait, COLUMN.memory]) {
      const self = selfOf(model, filter, metrics[column].classes)
      for (let n = 0; n < nodes.count; n++) {
        if (!self[n])
          continue
        const at = column === COLUMN.python && nodes.kind[nodes.owner[n]] !== KIND.python ? COLUMN.native : column
        add(places.first[n], at, self[n])
        add(places.second[n], at, self[n])
      }
    }
    for (let n = 0; n < nodes.count; n++) {
      if (calls.total[n])
        add(places.outer[n], COLUMN.total, calls.total[n])
    }
    const lines = new Map()
    for (let id = 0; id < places.count; id++) {
      const columns = sums.subarray(id * width, (id + 1) * width)
      if (!columns.some(Boolean))
        continue
      if (!lines.has(places.file[id]))
        lines.set(places.file[id], new Map())
      lines.get(places.file[id]).set(places.line[id], columns)
    }
    return lines
  }

  // Which metrics have anything at all.
  function present(model) {
    const seen = model.cells.runs.reduce((mask, run) => mask | 1 << run.cls, 0)
    return Object.keys(METRICS).filter(key => seen & maskOf(METRICS[key].classes))
  }

  return { METRICS, COLUMN, each, maskOf, columnMetrics, byCall, byFunction, byLine, present, off }
})()
