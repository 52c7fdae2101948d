// SPDX-License-Identifier: MIT
// A flame graph on a canvas. What is laid out is what can be seen: boxes wider than half a pixel below the one
// that is zoomed to; what is drawn are the rows in view. The box under the pointer is drawn on a canvas of its
// own, so that moving it costs nothing.
const Graph = (() => {
  const ROW = 19
  const NARROWEST = 0.5
  const FONT = '11.5px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif'

  class FlameGraph {
    // `hooks`: color(box), label(box), describe(box, graph, event), zoomed(box), picked(box). With `outlines`, what is
    // searched for keeps its colour and is framed.
    constructor(holder, hooks) {
      Object.assign(this, { holder, hooks, tree: null, zoom: null, focus: null, rows: [], upwards: false, matches: null })
      this.canvas = Format.element('canvas', { className: 'picture' })
      this.overlay = Format.element('canvas', { className: 'overlay' })
      this.spacer = Format.element('div', { className: 'spacer' })
      holder.append(Format.element('div', { className: 'stage' }, this.canvas, this.overlay), this.spacer)
      this.widths = new Map()
      this.listen()
    }

    listen() {
      const { holder } = this
      // Not for the height, which layout() itself sets.
      new ResizeObserver(() => this.tree && this.holder.clientWidth !== this.width && this.layout(true)).observe(holder)
      holder.addEventListener('scroll', () => this.draw())
      holder.addEventListener('pointermove', event => this.hover(event))
      holder.addEventListener('pointerleave', () => this.leave())
      holder.addEventListener('click', event => this.press(event))
      holder.addEventListener('dblclick', event => {
        const box = this.boxAt(event)
        if (box && box.parent && this.hooks.picked)
          this.hooks.picked(box)
      })
      holder.addEventListener('keydown', event => this.key(event))
    }

    show(tree, { upwards = false, matches = null } = {}) {
      const path = this.zoom && this.tree ? this.tree.pathOf(this.zoom).map(box => box.fn) : []
      Object.assign(this, { tree, upwards, matches, focus: null })
      this.zoom = tree.follow(path)
      this.layout(true)
    }

    // ------------------------------------------------------------ layout

    // While one zooms, the graph keeps its height: nothing below it jumps, and no other part of the page is laid out again.
    layout(toStart = false) {
      this.width = this.holder.clientWidth
      if (!this.width)
        return
      this.rows = []
      for (const box of [this.tree.root, ...this.tree.pathOf(this.zoom)])
        this.rows.push([{ box, x: 0, width: this.width }])
      this.layoutBelow()
      const most = parseFloat(getComputedStyle(this.holder).getPropertyValue('--most-rows')) || 34
      const high = Math.min(this.rows.length, most)
      this.high = toStart ? high : Math.max(high, this.high)
      this.depths = Math.max(this.rows.length, this.high)
      this.spacer.style.height = `${this.depths * ROW}px`
      this.holder.style.height = `${this.high * ROW + 2}px`
      if (toStart)
        this.holder.scrollTop = this.upwards ? this.holder.scrollHeight : 0
      this.resize()
      this.draw()
    }

    layoutBelow() {
      let row = this.rows[this.rows.length - 1]
      const scale = this.zoom.weight ? this.width / this.zoom.weight : 0
      for (;;) {
        const next = []
        for (const { box, x } of row) {
          let at = x
          for (const child of this.tree.open(box)) {
            const width = child.weight * scale
            if (width < NARROWEST)
              break // they come in order of weight
            next.push({ box: child, x: at, width })
            at += width
          }
        }
        if (!next.length)
          return
        this.rows.push(next)
        row = next
      }
    }

    // A canvas that is given a size is a new one, even if the size is the same.
    resize() {
      const ratio = window.devicePixelRatio || 1
      this.height = this.holder.clientHeight
      const size = [this.width, this.height, ratio].join()
      if (size === this.size)
        return
      this.size = size
      for (const canvas of [this.canvas, this.overlay]) {
        canvas.width = Math.round(this.width * ratio)
        canvas.height = Math.round(this.height * ratio)
        canvas.style.width = `${this.width}px`
        canvas.style.height = `${this.height}px`
        canvas.getContext('2d').setTransform(ratio, 0, 0, ratio, 0, 0)
      }
    }

    // From the top of what can be scrolled.
    topOf(depth) {
      return (this.upwards ? this.depths - 1 - depth : depth) * ROW
    }

    depthAt(y) {
      const row = Math.floor(y / ROW)
      return this.upwards ? this.depths - 1 - row : row
    }

    placeOf(box) {
      const row = this.rows[box.depth] || []
      return row.find(place => place.box === box)
    }

    // -------------------------------------------------------------- draw

    draw() {
      if (!this.tree || !this.width)
        return
      const context = this.canvas.getContext('2d')
      const style = getComputedStyle(this.holder)
      this.ink = { text: style.getPropertyValue('--box-text'),
        hit: style.getPropertyValue('--hit'), hitText: style.getPropertyValue('--hit-text'), root: style.getPropertyValue('--box-root') }
      context.clearRect(0, 0, this.width, this.height)
      context.font = FONT
      context.textBaseline = 'middle'
      const { scrollTop } = this.holder
      for (let depth = 0; depth < this.rows.length; depth++) {
        const top = this.topOf(depth) - scrollTop
        if (top > -ROW && top < this.height)
          this.drawRow(context, this.rows[depth], top)
      }
      this.drawFocus()
    }

    drawRow(context, row, top) {
      for (const { box, x, width } of row) {
        const hit = this.matches && box.parent && this.matches(box)
        const filled = hit && !this.hooks.outlines
        context.fillStyle = !box.parent ? this.ink.root : filled ? this.ink.hit : this.hooks.color(box)
        context.globalAlpha = this.matches && !hit && box.parent ? 0.42 : 1
        context.fillRect(x, top, Math.max(width - (width > 3 ? 1 : 0.3), 0.4), ROW - 1)
        if (hit && !filled)
          this.frame(context, x, top, width, this.ink.hit)
        if (width > 26)
          this.drawText(context, this.hooks.label(box), x, top, width, filled)
      }
      context.globalAlpha = 1
    }

    frame(context, x, top, width, ink) {
      context.strokeStyle = ink
      context.lineWidth = 1.5
      context.strokeRect(x + 0.75, top + 0.75, Math.max(width - 2, 1), ROW - 2.5)
    }

    textWidth(context, text) {
      let width = this.widths.get(text)
      if (width === undefined)
        this.widths.set(text, width = context.measureText(text).width)
      return width
    }

    drawText(context, text, x, top, width, hit) {
      const room = width - 9
      let shown = text
      const full = this.textWidth(context, text)
      if (full > room) {
        const letters = Math.floor(text.length * room / full) - 1
        if (letters < 2)
          return
        shown = `${text.slice(0, letters)}…`
      }
      context.fillStyle = hit ? this.ink.hitText : this.ink.text
      context.fillText(shown, x + 4, top + ROW / 2)
    }

    drawFocus() {
      const context = this.overlay.getContext('2d')
      context.clearRect(0, 0, this.width, this.height)
      const place = this.focus && this.placeOf(this.focus)
      if (!place)
        return
      this.frame(context, place.x, this.topOf(this.focus.depth) - this.holder.scrollTop, place.width, this.ink.text)
    }

    // --------------------------------------------------------- interaction

    boxAt(event) {
      const bounds = this.canvas.getBoundingClientRect()
      const x = event.clientX - bounds.left
      const row = this.rows[this.depthAt(event.clientY - bounds.top + this.holder.scrollTop)]
      const place = row && row.find(({ x: left, width }) => x >= left && x < left + Math.max(width, 1))
      return place ? place.box : null
    }

    hover(event) {
      const box = this.boxAt(event)
      if (!box || event.pointerType === 'touch')
        return this.leave()
      this.focus = box
      this.drawFocus()
      this.hooks.describe(box, this, event)
    }

    leave() {
      this.focus = null
      this.drawFocus()
      this.hooks.describe(null, this)
    }

    press(event) {
      const box = this.boxAt(event)
      if (!box)
        return
      this.focus = box
      this.zoomTo(box)
      this.hooks.describe(box, this)
    }

    zoomTo(box) {
      this.zoom = box
      this.layout()
      if (this.hooks.zoomed)
        this.hooks.zoomed(box)
    }

    moved(box) {
      this.focus = box
      const top = this.topOf(box.depth)
      if (top < this.holder.scrollTop)
        this.holder.scrollTop = top
      else if (top + ROW > this.holder.scrollTop + this.height)
        this.holder.scrollTop = top + ROW - this.height
      this.drawFocus()
      this.hooks.describe(box, this)
    }

    // The box that an arrow key leads to.
    neighbour(key) {
      const at = this.focus || this.zoom
      const inner = this.upwards ? 'ArrowUp' : 'ArrowDown'
      if (key === 'ArrowUp' || key === 'ArrowDown') {
        const next = key === inner ? (this.rows[at.depth + 1] || []).find(({ box }) => box.parent === at) : { box: at.parent }
        return next && next.box
      }
      const row = this.rows[at.depth] || []
      const index = row.findIndex(({ box }) => box === at)
      const next = row[index + (key === 'ArrowRight' ? 1 : -1)]
      return next && next.box
    }

    key(event) {
      if (event.key.startsWith('Arrow')) {
        const next = this.neighbour(event.key)
        if (next)
          this.moved(next)
      } else if (event.key === 'Enter' && this.focus) {
        this.zoomTo(this.focus)
      } else {
        return
      }
      event.preventDefault()
      event.stopPropagation()
    }
  }

  return { FlameGraph }
})()
