// SPDX-License-Identifier: MIT
// What the page of a profile was given: five parts (collector/html/data.c says which).
const Profile = (() => {
  // In the order of enum pln_html_class in cells.h: on a CPU and off it by state of the GIL, ...
  const CLASS = { cpu: 0, offcpu: 4, runnable: 8, allocated: 9, live: 10, peak: 11, temporary: 12 }
  const GIL = { unknown: 0, none: 1, holds: 2, waits: 3 }

  function readCells(bytes) {
    const reader = new Data.Reader(bytes)
    const runs = []
    let count = 0
    for (let left = reader.varint(); left > 0; left--) {
      const run = { cls: reader.varint(), thread: reader.varint(), start: count, end: 0 }
      count += reader.varint()
      run.end = count
      runs.push(run)
    }
    const cells = {
      runs, count, moment: reader.column(new Uint16Array(count)), node: new Int32Array(count),
      weight: null,
    }
    for (let i = 0; i < count; i++) {
      const zigzag = reader.varint()
      cells.node[i] = zigzag % 2 ? -(zigzag + 1) / 2 : zigzag / 2
    }
    cells.weight = reader.column(new Float64Array(count))
    for (const { start, end } of runs) {
      for (let i = start + 1; i < end; i++) {
        cells.moment[i] += cells.moment[i - 1]
        cells.node[i] += cells.node[i - 1]
      }
    }
    return cells
  }

  // Processes of several containers may have the same pid, and so have those before and after an exec.
  function namePids(processes) {
    const used = new Map()
    for (const process of processes) {
      const uses = (used.get(process.pid) || 0) + 1
      used.set(process.pid, uses)
      process.pidName = uses > 1 ? `${process.pid}.${uses}` : String(process.pid)
    }
  }

  function modelOf([info, model, nodes, cells, code]) {
    const read = { ...Data.json(model), info: Data.json(info), nodes: Data.readNodes(nodes, ['fn', 'line', 'guessed']), cells: readCells(cells) }
    Data.check(read.format)
    namePids(read.info.processes)
    read.functions = Data.readFunctions(read.functions)
    read.code = new Map(Data.json(code).map(of => [of.fn, of])) // by function, as far as there is any
    Data.prepare(read)
    return read
  }

  return { CLASS, GIL, modelOf }
})()
