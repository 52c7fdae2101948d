// SPDX-License-Identifier: MIT
// What the page of a diff was given (collector/html/diff_data.c says in which parts), and how calls differ: what
// they have in A and in B, what chance may do to the difference, and the colour of that.
const Changes = (() => {
  const A = 0
  const B = 1
  const FULL = 0.1 // of the whole: what changed by that much has all of its colour
  const GREW = 8 // hues that those who see fewer colours tell apart, of equal lightness
  const SHRANK = 212

  // ---------------------------------------------------------------- given

  function amount([aWeight, aSamples, bWeight, bSamples, change, noise, real]) {
    return { weight: [aWeight, bWeight], samples: [aSamples, bSamples], change, noise, real: real === 1 }
  }

  function rowsOf(rows) {
    return rows.map(([fn, aLine, bLine, sides, self, total], rank) =>
      ({ rank, fn, line: [aLine, bLine], has: [(sides & 1) > 0, (sides & 2) > 0], self: amount(self), total: amount(total) }))
  }

  // By call: its own, and with all below it.
  function sumUp({ count, parent }, self) {
    const total = self.slice()
    let all = 0
    for (let n = count - 1; n >= 0; n--) {
      if (parent[n] >= 0)
        total[parent[n]] += total[n]
      else
        all += total[n]
    }
    return { self, total, all }
  }

  function readOwn(model, part) {
    const reader = new Data.Reader(part)
    const columns = Array.from({ length: 4 }, () => reader.column(new Float64Array(model.nodes.count)))
    model.sums = [columns[0], columns[1]].map(self => sumUp(model.nodes, self))
    model.variances = [columns[2], columns[3]].map(errors => sumUp(model.nodes, errors.map(error => error * error)))
  }

  function modelOf([model, a, b, calls, own]) {
    const read = { ...Data.json(model), infos: [Data.json(a), Data.json(b)], nodes: Data.readNodes(calls, ['fn']) }
    Data.check(read.format)
    read.functions = Data.readFunctions(read.functions)
    read.rows = { functions: rowsOf(read.function_rows), lines: rowsOf(read.line_rows) }
    Data.prepare(read)
    readOwn(read, own)
    return read
  }

  // ----------------------------------------------------------------- sums

  // What boxes are as wide as: A, B, or both together, each as a share of its whole unless amounts are compared.
  function widths(model, width) {
    if (width !== 'both')
      return model.sums[width === 'a' ? A : B]
    const [a, b] = model.sums
    const scale = model.absolute || !a.all ? 1 : b.all / a.all
    const add = (left, right) => left.map((value, n) => value * scale + right[n])
    return { self: add(a.self, b.self), total: add(a.total, b.total), all: a.all * scale + b.all }
  }

  // A call is there when either side has it.
  function present({ sums: [a, b] }) {
    const either = (left, right) => left.map((value, n) => value + right[n])
    return { self: either(a.self, b.self), total: either(a.total, b.total) }
  }

  // ---------------------------------------------------------------- noise

  // As collector/diff/noise.c has it: of a share p of one whole, if the part's samples have that sum of squares.
  function shareVariance(side, share, own) {
    const rest = Math.max(side.variance - own, 0) + side.mean_square
    return ((1 - share) ** 2 * (own + side.mean_square) + share ** 2 * rest) / side.weight ** 2
  }

  function noiseOf({ sides, absolute, standard_errors: errors }, weight, variance) {
    const both = weight[A] + weight[B]
    const square = both ? (variance[A] + variance[B]) / both : 0
    if (!sides[A].weight || !sides[B].weight)
      return 0
    const sum = sides.reduce((before, side, i) => {
      const share = absolute ? Math.min(1, both / 2 / side.weight) : both / (sides[A].weight + sides[B].weight)
      const own = Math.max(variance[i], square * share * side.weight)
      const relative = shareVariance(side, share, own)
      return before + (absolute ? relative * side.weight ** 2 + share ** 2 * side.own_variance : relative)
    }, 0)
    return errors * Math.sqrt(sum)
  }

  // Shares of the whole, or the weights themselves.
  function valueOf(model, side, weight) {
    const { weight: whole } = model.sides[side]
    return model.absolute ? weight : whole ? weight / whole : 0
  }

  function between(model, weight, variance) {
    const value = weight.map((w, side) => valueOf(model, side, w))
    const change = value[B] - value[A]
    const noise = noiseOf(model, weight, variance)
    return { weight, value, change, noise, real: Math.abs(change) > noise }
  }

  // Of a box of the graph; it is asked for with every picture.
  function ofBox(model, tree, box) {
    if (!box.change) {
      box.change = between(model, model.sums.map(sums => tree.valueOf(box, sums)),
        model.variances.map(variances => tree.valueOf(box, variances)))
    }
    return box.change
  }

  // -------------------------------------------------------------- wording

  function quantity(model, value) {
    if (!model.absolute)
      return (value * 100).toFixed(1)
    return model.memory ? Format.bytes(Math.round(value)) : Format.duration(value)
  }

  function signed(model, value) {
    return `${value < 0 ? '−' : '+'}${quantity(model, Math.abs(value))}`
  }

  // Of a call that one side alone has.
  function onlyIn({ weight }) {
    return weight[A] && weight[B] ? '' : weight[A] ? 'A' : 'B'
  }

  // --------------------------------------------------------------- colour

  // How much of its colour a change has, from 0 to 1.
  function strength(model, change) {
    const whole = model.absolute ? Math.max(model.sides[A].weight, model.sides[B].weight, 1) : 1
    return Math.sqrt(Math.min(Math.abs(change) / whole / FULL, 1))
  }

  function tint(hue, part) {
    return Colors.css([hue, part ? 30 + 52 * part : 0, 91 - 27 * part, 25 + 17 * part])
  }

  // What chance may do has none, unless it is asked for.
  function color(model, { change, real }, withNoise) {
    return real || withNoise ? tint(change > 0 ? GREW : SHRANK, strength(model, change)) : tint(0, 0)
  }

  return { A, B, GREW, SHRANK, FULL, modelOf, widths, present, valueOf, ofBox, quantity, signed, onlyIn, tint, color }
})()
