// SPDX-License-Identifier: MIT
// The tree that a flame graph shows: calls of one function merged, from the root or from the leaf. Children are
// made when they are first asked for, so that opening a large profile costs what is seen of it.
const Tree = (() => {
  // A box of the graph stands for calls: `calls` of the profile's tree; from the leaf, each with the call whose weight
  // it has.
  class Box {
    constructor(fn, line, parent) {
      this.fn = fn
      this.line = line
      this.parent = parent
      this.depth = parent ? parent.depth + 1 : 0
      this.weight = 0
      this.guessed = true // as long as all of its calls are
      this.calls = []
      this.origins = [] // inverted: for each of the calls, the one that the tree began at
      this.children = null
    }
  }

  class CallTree {
    // `from`: a function that the tree begins at, or -1: all of the recording. `has`: sums by call that a call is in
    // the tree for, when it has no weight itself.
    constructor(model, sums, { inverted = false, byLine = false, frames = 'all', from = -1, has = sums } = {}) {
      Object.assign(this, { model, sums, inverted, byLine, frames, from, has })
      this.root = new Box(-1, 0, null)
      this.root.weight = sums.all
      if (from >= 0)
        this.beginAt(from)
      else if (inverted)
        this.beginAtLeaves()
      else
        this.beginAtRoots()
    }

    // "folded": without the interpreter's own calls between, and in front of, those of Python.
    hides(n) {
      const { kind, isWait, inner } = this.model.nodes
      if (this.frames === 'python')
        return kind[n] !== Data.KIND.python && !isWait(kind[n])
      return this.frames === 'folded' && inner[n] === 1
    }

    // The children of a box, largest first.
    open(box) {
      if (box.children)
        return box.children
      box.children = []
      const groups = new Map()
      for (let i = 0; i < box.calls.length; i++) {
        if (this.inverted)
          this.addCaller(groups, box, this.model.nodes.parent[box.calls[i]], box.origins[i])
        else
          this.addCallees(groups, box, box.calls[i])
      }
      return this.order(box, groups)
    }

    order(box, groups) {
      const { name } = this.model.functions
      box.children = [...groups.values()].sort((a, b) =>
        b.weight - a.weight || (name[a.fn] < name[b.fn] ? -1 : name[a.fn] > name[b.fn] ? 1 : a.line - b.line))
      return box.children
    }

    group(groups, box, n) {
      const { fn, line, guessed } = this.model.nodes
      const key = this.byLine ? fn[n] * 0x200000 + line[n] : fn[n]
      let found = groups.get(key)
      if (!found)
        groups.set(key, found = new Box(fn[n], this.byLine ? line[n] : 0, box))
      found.guessed = found.guessed && guessed[n] === 1
      return found
    }

    addCallees(groups, box, n) {
      const { end } = this.model.nodes
      for (let child = n + 1; child < end[n]; child = end[child])
        this.addCall(groups, box, child)
    }

    addCall(groups, box, n) {
      if (!this.has.total[n])
        return
      if (this.hides(n)) {
        this.addCallees(groups, box, n)
        return
      }
      const group = this.group(groups, box, n)
      group.weight += this.sums.total[n]
      group.calls.push(n)
    }

    addCaller(groups, box, n, origin) {
      let at = n
      while (at >= 0 && this.hides(at))
        at = this.model.nodes.parent[at]
      if (at < 0)
        return
      const group = this.group(groups, box, at)
      group.weight += (this.from >= 0 ? this.sums.total : this.sums.self)[origin]
      group.calls.push(at)
      group.origins.push(origin)
    }

    beginAtRoots() {
      const { count, end } = this.model.nodes
      const groups = new Map()
      for (let n = 0; n < count; n = end[n])
        this.addCall(groups, this.root, n)
      this.order(this.root, groups)
    }

    beginAtLeaves() {
      const { count } = this.model.nodes
      const groups = new Map()
      for (let n = 0; n < count; n++) {
        if (this.has.self[n])
          this.addCaller(groups, this.root, n, n)
      }
      this.order(this.root, groups)
    }

    // The outermost calls of one function: its callees below, or its callers.
    beginAt(from) {
      const { count, fn, outer } = this.model.nodes
      const groups = new Map()
      this.root.weight = 0
      for (let n = 0; n < count; n++) {
        if (fn[n] !== from || !outer[n] || !this.sums.total[n])
          continue
        const group = this.group(groups, this.root, n)
        group.weight += this.sums.total[n]
        group.calls.push(n)
        group.origins.push(n)
        this.root.weight += this.sums.total[n]
      }
      this.order(this.root, groups)
    }

    // What a box has in other sums than those that the tree is drawn by.
    valueOf(box, sums) {
      if (!box.parent)
        return sums.all
      const calls = this.inverted ? box.origins : box.calls
      const values = this.inverted && this.from < 0 ? sums.self : sums.total
      return calls.reduce((sum, n) => sum + values[n], 0)
    }

    // What a box has that none of its children has.
    selfOf(box) {
      return this.inverted ? 0 : box.weight - this.open(box).reduce((sum, child) => sum + child.weight, 0)
    }

    // From the outermost to the box, without the root.
    pathOf(box) {
      const path = []
      for (let at = box; at && at.parent; at = at.parent)
        path.unshift(at)
      return path
    }

    // The box at the end of a path of functions, or as much of it as there is.
    follow(functions) {
      let at = this.root
      for (const wanted of functions) {
        const next = this.open(at).find(child => child.fn === wanted)
        if (!next)
          break
        at = next
      }
      return at
    }
  }

  // What is spent in calls that match, and below them: of `self`, by call.
  function matched(nodes, self, matches) {
    const on = new Uint8Array(nodes.count)
    let sum = 0
    for (let n = 0; n < nodes.count; n++) {
      const parent = nodes.parent[n]
      on[n] = matches(n) || (parent >= 0 && on[parent]) ? 1 : 0
      if (on[n])
        sum += self[n]
    }
    return sum
  }

  return { CallTree, matched }
})()
