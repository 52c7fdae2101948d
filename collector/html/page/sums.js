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

  // By call: its own weight, and that of all below it too.
  function byCall(model, filter, classes) {
    const { cells, nodes } = model
    const self = new Float64Array(nodes.count)
    each(model, filter, maskOf(classes), (start, end) => {
      for (let i = start; i < end; i++)
        self[cells.node[i]] += cells.weight[i]
    })
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

  // By file and line, in the four columns of the source view.
  const COLUMNS = ['python', 'native', 'wait', 'allocated']
  function byLine(model, filter) {
    const { cells, nodes, functions } = model
    const waits = maskOf([...off, CLASS.runnable])
    const lines = new Map() // file -> line -> four sums
    const slots = new Array(nodes.count)

    function slotOf(n) {
      const owner = nodes.owner[n]
      const at = nodes.python[owner] >= 0 ? nodes.python[owner] : owner
      return [at !== owner && functions.file[nodes.fn[owner]] ? owner : -1, at].filter(m => m >= 0).map(m => {
        const file = functions.file[nodes.fn[m]]
        if (!lines.has(file))
          lines.set(file, new Map())
        const byNumber = lines.get(file)
        if (!byNumber.has(nodes.line[m]))
          byNumber.set(nodes.line[m], new Float64Array(COLUMNS.length))
        return byNumber.get(nodes.line[m])
      })
    }

    each(model, filter, waits | maskOf([...cpu, CLASS.allocated]), (start, end, run) => {
      for (let i = start; i < end; i++) {
        const n = cells.node[i]
        const column = waits >> run.cls & 1 ? 2 : run.cls === CLASS.allocated ? 3 : nodes.kind[nodes.owner[n]] === KIND.python ? 0 : 1
        for (const sums of slots[n] = slots[n] || slotOf(n))
          sums[column] += cells.weight[i]
      }
    })
    lines.delete('')
    return lines
  }

  // Which metrics have anything at all.
  function present(model) {
    const seen = model.cells.runs.reduce((mask, run) => mask | 1 << run.cls, 0)
    return Object.keys(METRICS).filter(key => seen & maskOf(METRICS[key].classes))
  }

  return { METRICS, COLUMNS, each, maskOf, byCall, byFunction, byLine, present, off }
})()
