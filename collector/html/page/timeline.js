// SPDX-License-Identifier: MIT
// The recording over time: CPUs in use, memory, and what each thread does. A drag chooses the time that all
// views are of.
const Timeline = (() => {
  const { KIND } = Data
  const { CLASS, GIL } = Profile
  const { element } = Format
  const AXIS = 18
  const CHART = 34
  const ROW = 15
  const GAP = 8
  const FEW = 8 // threads shown at first
  const STATES = Colors.STATES.length
  const FONT = '11px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'

  function stateOf(cls, isPython) {
    if (cls >= CLASS.allocated)
      return -1
    if (cls === CLASS.runnable)
      return 3
    const gil = cls % 4
    if (gil === GIL.waits)
      return 4
    if (cls >= CLASS.offcpu)
      return 5
    return isPython ? 0 : gil === GIL.holds ? 1 : 2
  }

  // Nanoseconds by thread, moment and state.
  function statesOf(model) {
    const { cells, nodes } = model
    const times = new Float64Array(model.threads.length * model.moments * STATES)
    for (const { cls, thread, start, end } of cells.runs) {
      for (let i = start; i < end && cls < CLASS.allocated; i++) {
        const state = stateOf(cls, nodes.kind[nodes.owner[cells.node[i]]] === KIND.python)
        times[(thread * model.moments + cells.moment[i]) * STATES + state] += cells.weight[i]
      }
    }
    return times
  }

  class View {
    // `hooks`: changed(range or null), describe(text lines or null, event).
    constructor(model, canvas, legend, hooks) {
      Object.assign(this, { model, canvas, legend, hooks, all: false, range: null, drag: null, threads: null })
      canvas.dataset.moments = model.moments
      this.times = statesOf(model)
      this.memory = this.memoryByMoment()
      this.listen()
      new ResizeObserver(() => this.draw()).observe(canvas.parentElement)
    }

    // What is live of all processes together: the most in each moment, else what was live before it. A process that
    // has ended has nothing; in the moment in which it does, it had.
    memoryByMoment() {
      const { memory, moments } = this.model
      if (!memory.some(series => series.moments.length))
        return null
      const sum = new Float64Array(moments)
      for (const series of memory) {
        let live = 0
        for (let m = 0, i = 0; m < moments; m++) {
          const known = series.moments[i] === m
          sum[m] += known ? Math.max(series.most[i], 0) : m <= series.end ? live : 0
          if (known)
            live = series.last[i++]
        }
      }
      return sum
    }

    // ----------------------------------------------------------- geometry

    shown() {
      const kept = this.model.threads.map((_, i) => i).filter(i => !this.threads || this.threads[i])
      return this.all ? kept : kept.slice(0, FEW)
    }

    charts() {
      return [{ label: 'CPUs in use', top: AXIS, height: CHART },
        ...this.memory ? [{ label: 'Memory live', top: AXIS + CHART + GAP, height: CHART }] : []]
    }

    rowsTop() {
      const [last] = this.charts().slice(-1)
      return last.top + last.height + GAP
    }

    momentAt(x) {
      const part = (x - this.left) / Math.max(this.width - this.left, 1)
      return Math.min(Math.max(part, 0), 1) * this.model.moments
    }

    xOf(moment) {
      return this.left + moment / this.model.moments * (this.width - this.left)
    }

    // --------------------------------------------------------------- draw

    // The picture is painted when what is in it changes; what is chosen is laid over it.
    draw() {
      const threads = this.shown()
      const ratio = window.devicePixelRatio || 1
      this.width = this.canvas.parentElement.clientWidth
      this.left = this.width < 600 ? 92 : 140 // for labels
      this.height = this.rowsTop() + threads.length * ROW + 2
      if (!this.width)
        return
      const key = [this.width, ratio, document.documentElement.dataset.theme, this.all, this.threads].join()
      if (key !== this.key) {
        this.key = key
        this.paint(threads, ratio)
        this.drawLegend()
      }
      const context = this.canvas.getContext('2d')
      context.setTransform(1, 0, 0, 1, 0, 0)
      context.clearRect(0, 0, this.canvas.width, this.canvas.height)
      context.drawImage(this.base, 0, 0)
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      this.drawRange(context)
    }

    paint(threads, ratio) {
      const size = { width: Math.round(this.width * ratio), height: Math.round(this.height * ratio) }
      Object.assign(this.canvas, size)
      this.canvas.style.height = `${this.height}px`
      this.base = Object.assign(document.createElement('canvas'), size)
      const context = this.base.getContext('2d')
      context.setTransform(ratio, 0, 0, ratio, 0, 0)
      context.font = FONT
      const style = getComputedStyle(this.canvas)
      this.ink = { dim: style.getPropertyValue('--dim'), line: style.getPropertyValue('--line'), memory: style.getPropertyValue('--memory'),
        veil: style.getPropertyValue('--veil'), accent: style.getPropertyValue('--accent') }
      this.drawAxis(context)
      this.drawCharts(context)
      threads.forEach((thread, row) => this.drawThread(context, thread, this.rowsTop() + row * ROW))
    }

    drawAxis(context) {
      const total = this.model.moments * this.model.moment_ns
      const most = Math.max(Math.floor((this.width - this.left) / 90), 1)
      const power = 10 ** Math.floor(Math.log10(total / most))
      const step = [1, 2, 5, 10].map(n => n * power).find(n => total / n < most + 1) || total
      context.fillStyle = this.ink.dim
      context.strokeStyle = this.ink.line
      context.textBaseline = 'top'
      context.textAlign = 'left'
      for (let at = 0; at < total; at += step) {
        const x = Math.round(this.xOf(at / this.model.moment_ns)) + 0.5
        context.beginPath()
        context.moveTo(x, 2)
        context.lineTo(x, this.height)
        context.stroke()
        const text = at ? Format.duration(at) : '0'
        if (x + 3 + context.measureText(text).width <= this.width)
          context.fillText(text, x + 3, 2)
      }
    }

    label(context, text, top, height) {
      context.fillStyle = this.ink.dim
      context.textBaseline = 'middle'
      context.textAlign = 'left'
      context.fillText(fitted(context, text, this.left - 10), 0, top + height / 2)
    }

    drawCharts(context) {
      const { model } = this
      const [cpu, memory] = this.charts()
      const used = Array.from({ length: 3 }, () => new Float64Array(model.moments))
      for (const thread of model.threads.keys()) {
        if (this.threads && !this.threads[thread])
          continue
        for (let m = 0; m < model.moments; m++) {
          for (let state = 0; state < 3; state++)
            used[state][m] += this.times[(thread * model.moments + m) * STATES + state] / model.moment_ns
        }
      }
      const sums = used[0].map((value, m) => value + used[1][m] + used[2][m])
      const most = Math.max(1, sums.reduce((a, b) => Math.max(a, b), 0))
      this.cpus = sums
      for (const [state, from] of [[2, sums], [1, used[0].map((v, m) => v + used[1][m])], [0, used[0]]])
        this.drawArea(context, cpu, from, most, Colors.css(Colors.STATES[state].hsl))
      this.drawScale(context, cpu, Format.grouped(Math.ceil(most - 0.05)))
      if (memory) {
        const top = this.memory.reduce((a, b) => Math.max(a, b), 1)
        this.drawArea(context, memory, this.memory, top, this.ink.memory)
        this.drawScale(context, memory, Format.bytes(top))
      }
    }

    drawArea(context, { top, height }, values, most, color) {
      context.fillStyle = color
      context.beginPath()
      context.moveTo(this.left, top + height)
      for (let m = 0; m < values.length; m++) {
        const y = top + height * (1 - values[m] / most)
        context.lineTo(this.xOf(m), y)
        context.lineTo(this.xOf(m + 1), y)
      }
      context.lineTo(this.width, top + height)
      context.fill()
    }

    drawScale(context, { label, top, height }, most) {
      this.label(context, label, top, height - 14)
      this.label(context, `to ${most}`, top + 14, height - 14)
    }

    // Several processes have a first thread each.
    threadLabel(index) {
      const { name, entry, main, process } = this.model.threads[index]
      const { processes } = this.model.info
      const first = processes.length > 1 && processes[process] ? `pid ${processes[process].pidName}` : 'first thread'
      return Format.name(!entry ? name : main ? `${entry}, ${first}` : `${entry}, ${name}`)
    }

    drawThread(context, thread, top) {
      const { model } = this
      this.label(context, this.threadLabel(thread), top, ROW)
      const step = (this.width - this.left) / model.moments
      for (let m = 0; m < model.moments; m++) {
        const at = (thread * model.moments + m) * STATES
        let sum = 0
        for (let state = 0; state < STATES; state++)
          sum += this.times[at + state]
        if (!sum)
          continue
        const scale = (ROW - 3) / Math.max(sum, model.moment_ns)
        let bottom = top + ROW - 2
        for (let state = 0; state < STATES; state++) {
          const height = this.times[at + state] * scale
          if (!height)
            continue
          context.fillStyle = Colors.css(Colors.STATES[state].hsl)
          context.fillRect(this.xOf(m), bottom - height, step + 0.3, height)
          bottom -= height
        }
      }
    }

    drawRange(context) {
      const range = this.drag || this.range
      if (!range)
        return
      const [left, right] = [this.xOf(Math.min(...range)), this.xOf(Math.max(...range))]
      context.fillStyle = this.ink.veil
      context.fillRect(this.left, 0, left - this.left, this.height)
      context.fillRect(right, 0, this.width - right, this.height)
      context.fillStyle = this.ink.accent
      context.fillRect(left - 1, 0, 1.5, this.height)
      context.fillRect(right - 0.5, 0, 1.5, this.height)
    }

    drawLegend() {
      const kept = this.model.threads.filter((_, i) => !this.threads || this.threads[i]).length
      const items = Colors.STATES.map(state => legendItem(state))
      if (kept > FEW)
        items.push(element('button', { type: 'button', className: 'link', id: 'all-threads',
          text: this.all ? `Show ${FEW} threads` : `Show all ${kept} threads`,
          onclick: () => { this.all = !this.all; this.draw() } }))
      Format.replace(this.legend, ...items)
    }

    // -------------------------------------------------------- interaction

    listen() {
      const { canvas } = this
      const at = event => this.momentAt(event.clientX - canvas.getBoundingClientRect().left)
      canvas.addEventListener('pointerdown', event => {
        if (event.button)
          return
        canvas.setPointerCapture(event.pointerId)
        this.drag = [at(event), at(event)]
        this.hooks.describe(null)
      })
      canvas.addEventListener('pointermove', event => {
        if (this.drag) {
          this.drag[1] = at(event)
          this.draw()
        } else {
          this.describe(event)
        }
      })
      canvas.addEventListener('pointerup', () => this.drop())
      canvas.addEventListener('pointercancel', () => { this.drag = null; this.draw() })
      canvas.addEventListener('pointerleave', () => this.hooks.describe(null))
      canvas.addEventListener('dblclick', () => this.hooks.changed(null))
      canvas.addEventListener('keydown', event => this.key(event))
    }

    drop() {
      if (!this.drag)
        return
      const from = Math.floor(Math.min(...this.drag))
      const to = Math.ceil(Math.max(...this.drag))
      const wide = this.xOf(Math.max(...this.drag)) - this.xOf(Math.min(...this.drag)) > 3
      this.drag = null
      if (wide)
        this.hooks.changed([from, Math.max(to, from + 1)])
      else
        this.draw()
    }

    // With the keys: a tenth of what is chosen to the left or right, or half and double of it.
    key(event) {
      const { moments } = this.model
      const [from, to] = this.range || [0, moments]
      const step = Math.max(Math.round((to - from) / 10), 1)
      const moves = { ArrowLeft: [-step, -step], ArrowRight: [step, step], '+': [step, -step], '-': [-step, step] }
      const move = moves[event.key]
      if (!move)
        return
      event.preventDefault()
      const next = [Math.max(from + move[0], 0), Math.min(to + move[1], moments)]
      if (next[1] - next[0] >= 1 && (move[0] !== move[1] || next[1] - next[0] === to - from))
        this.hooks.changed(next[0] === 0 && next[1] === moments ? null : next)
    }

    describe(event) {
      const bounds = this.canvas.getBoundingClientRect()
      const [x, y] = [event.clientX - bounds.left, event.clientY - bounds.top]
      if (x < this.left)
        return this.hooks.describe(null)
      const moment = Math.min(Math.floor(this.momentAt(x)), this.model.moments - 1)
      const lines = [`at ${Format.duration(moment * this.model.moment_ns)}`]
      const thread = this.shown()[Math.floor((y - this.rowsTop()) / ROW)]
      if (y >= this.rowsTop() && thread !== undefined)
        lines.push(...this.describeThread(thread, moment))
      else
        lines.push(`${this.cpus[moment].toFixed(2)} CPUs in use`, ...this.memory ? [`${Format.bytes(this.memory[moment])} live`] : [])
      this.hooks.describe(lines, event)
    }

    describeThread(thread, moment) {
      const { model } = this
      const at = (thread * model.moments + moment) * STATES
      const { processes } = model.info
      const process = processes[model.threads[thread].process]
      const lines = [this.threadLabel(thread), ...process && processes.length > 1 ? [`pid ${process.pidName}`] : []]
      for (const [state, { label }] of Colors.STATES.entries()) {
        const ns = this.times[at + state]
        const where = state === 5 && ns ? this.waitsIn(thread, moment) : ''
        if (ns)
          lines.push(`${label}${where}: ${Format.duration(ns)}`)
      }
      return lines
    }

    // The call that a thread is blocked in most of a moment.
    waitsIn(thread, moment) {
      const { model } = this
      const sums = new Map()
      const threads = model.threads.map((_, i) => i === thread)
      Sums.each(model, { threads, range: [moment, moment + 1] }, Sums.maskOf(Sums.off), (start, end) => {
        for (let i = start; i < end; i++) {
          const fn = model.nodes.fn[model.cells.node[i]]
          sums.set(fn, (sums.get(fn) || 0) + model.cells.weight[i])
        }
      })
      const [most] = [...sums].sort((a, b) => b[1] - a[1])
      return most ? ` in ${Format.name(model.functions.name[most[0]])}` : ''
    }

    setFilter(threads, range) {
      Object.assign(this, { threads, range })
      this.draw()
    }
  }

  function fitted(context, text, room) {
    if (context.measureText(text).width <= room)
      return text
    let shown = text
    while (shown.length > 2 && context.measureText(`${shown}…`).width > room)
      shown = shown.slice(0, -1)
    return `${shown}…`
  }

  function legendItem({ label, hsl }) {
    const swatch = element('span', { className: 'swatch' })
    swatch.style.background = Colors.css(hsl)
    return element('span', { className: 'item' }, swatch, label)
  }

  return { View, legendItem }
})()
