// SPDX-License-Identifier: MIT
// Source files beside what their lines cost: in Python, in the native code below it, in waits, in memory, and with all
// that they call. Files and lines rank by what they have of the metric that is looked at.
const Source = (() => {
  const { element, named } = Format
  const HEADS = ['Python', 'Native', 'Waits', null, 'With calls'] // that of memory is the metric's own
  const AROUND = 12 // lines shown before and behind one that costs something, in long files
  const { COLUMN } = Sums
  const COLUMNS = Object.keys(COLUMN)
  const LONG = 1500 // lines of a file that is shown whole

  // Strings and comments come first, so that nothing in them counts.
  const STRING = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/.source
  const PYTHON = new RegExp(`("""[^]*?"""|'''[^]*?'''|${STRING})|(#[^\n]*)|\\b(and|as|assert|async|await|break|class|continue|def|del|elif|else|except|finally|for|from|global|if|import|in|is|lambda|nonlocal|not|or|pass|raise|return|try|while|with|yield|None|True|False)\\b`, 'g')
  const OTHER = new RegExp(`(${STRING})|(//[^\n]*|/\\*[^]*?\\*/)|\\b(break|case|char|const|continue|default|do|double|else|enum|float|for|goto|if|int|long|return|short|sizeof|static|struct|switch|typedef|union|unsigned|void|while)\\b`, 'g')

  // Lines, each a list of [class or null, text]. What is a string or a comment may have several lines.
  function coloredLines(file, text) {
    const lines = [[]]
    const add = (kind, piece) => piece.split('\n').forEach((part, i) => {
      if (i)
        lines.push([])
      if (part)
        lines[lines.length - 1].push([kind, part])
    })
    let at = 0
    for (const match of text.matchAll(/\.py[ixw]?$/.test(file) ? PYTHON : OTHER)) {
      add(null, text.slice(at, match.index))
      add(match[1] ? 'string' : match[2] ? 'comment' : 'word', match[0])
      at = match.index + match[0].length
    }
    add(null, text.slice(at))
    if (!lines[lines.length - 1].length)
      lines.pop()
    return lines
  }

  // Characters that would hide what the code is are shown as what they are; tabs are not.
  function codeCell(parts) {
    let room = 2000
    const shown = parts.map(([kind, text]) => {
      const piece = text.slice(0, Math.max(room, 0)).replace(/\r$/, '').split('\t').map(Format.name).join('\t')
      room -= text.length
      return kind && piece ? element('span', { className: kind, text: piece }) : piece
    })
    return element('td', { className: 'text' }, element('code', { dir: 'ltr' }, ...shown, room < 0 ? '…' : ''))
  }

  function sumOf(lines) {
    const sums = new Float64Array(COLUMNS.length)
    for (const line of lines.values())
      line.forEach((value, i) => { sums[i] += value })
    return sums
  }

  class View {
    constructor(app, files, listing) {
      Object.assign(this, { app, files, listing })
      this.texts = new Map(app.model.sources.map(source => [source.file, source]))
      this.short = new Map(app.model.functions.file.map((file, fn) => [file, app.model.functions.shortFile[fn]]))
    }

    metric() {
      return Sums.METRICS[this.app.state.metric]
    }

    // The columns that there is room for on a narrow page, beside those of all that is called.
    columns() {
      return { wall: ['python', 'native', 'wait'], offcpu: ['wait'] }[this.app.state.metric] || (this.metric().memory ? ['memory'] : ['python', 'native'])
    }

    // What there is of the metric itself: all time is in Python or native code, whether that runs or waits.
    rank(sums) {
      return this.metric().memory ? sums[COLUMN.memory] : sums[COLUMN.python] + sums[COLUMN.native]
    }

    ordered(found) {
      return [...found].map(([file, lines]) => ({ file, lines, sums: sumOf(lines) }))
        .map(entry => ({ ...entry, rank: this.rank(entry.sums) }))
        .sort((a, b) => b.rank - a.rank || b.sums[COLUMN.memory] - a.sums[COLUMN.memory] || (a.file < b.file ? -1 : 1))
    }

    render() {
      const { app } = this
      const entries = this.ordered(Sums.byLine(app.model, app.filter, app.calls, this.metric()))
      const chosen = entries.find(entry => entry.file === app.state.file) || entries.find(entry => this.texts.has(entry.file)) || entries[0]
      Format.replace(this.files, ...entries.slice(0, 200).map(entry => this.fileItem(entry, entry === chosen)))
      if (chosen)
        this.renderFile(chosen)
      else
        Format.replace(this.listing, element('p', { className: 'dim', text: app.nothing() }))
    }

    // A cost may be of two lines, in Python and in C: the shares of all files may be more than the whole.
    fileItem({ file, rank }, chosen) {
      const { all } = this.app.calls
      const item = element('button', { type: 'button', className: 'file', title: Format.name(file), 'aria-current': chosen ? 'true' : null,
        onclick: () => this.app.go({ file, line: 0 }) },
        named(Format.shortPath(this.short.get(file) || file, 26)), element('span', { className: 'number dim', text: Format.percent(rank, all) }))
      item.style.setProperty('--part', all ? `${rank / all * 100}%` : '0%')
      return element('li', {}, item)
    }

    note(file) {
      const source = this.texts.get(file)
      if (!source)
        return this.app.model.no_source ? 'Source was left out of this page: lines have their numbers alone.'
          : 'The source was not there, or left out, when this page was made: lines have their numbers alone.'
      return source.changed ? 'This file was changed after the recording began: lines may not be those that ran.' : ''
    }

    renderFile({ file, lines, sums }) {
      this.open(file)
      const most = COLUMNS.map((_, i) => [...lines.values()].reduce((found, line) => Math.max(found, line[i]), 0))
      const rows = this.numbers(this.code.length, lines).map(number => number < 0
        ? element('tr', { className: 'gap' }, element('td', { colSpan: COLUMNS.length + 2, text: `⋯ ${-number} lines that cost nothing` }))
        : this.row(number, lines.get(number), most))
      Format.replace(this.listing, element('h2', {}, named(file)), this.note(file) ? element('p', { className: 'note', text: this.note(file) }) : null,
        this.instructions(file), element('div', { className: 'scroll' }, element('table', { className: `code ${this.columns().map(column => `for-${column}`).join(' ')}` },
          this.head(sums), element('tbody', {}, ...rows))))
      this.reveal(lines)
    }

    // The lines of the file that is shown. Their cells are made once: what changes are the numbers beside them.
    open(file) {
      if (this.shown === file)
        return
      const source = this.texts.get(file)
      this.shown = file
      this.code = source ? coloredLines(file, source.text) : []
      this.cells = new Map()
    }

    codeOf(number) {
      if (!this.cells.has(number))
        this.cells.set(number, codeCell(this.code[number - 1] || []))
      return this.cells.get(number)
    }

    // Of a file of C, functions that there is more to see of.
    instructions(file) {
      const { app } = this
      const { functions, code } = app.model
      const links = [...code.keys()].filter(fn => functions.file[fn] === file).map(fn => Instructions.link(app, fn, named(functions.short[fn])))
      return links.length ? element('p', { className: 'bar' }, 'Instructions of ', ...links) : null
    }

    head(sums) {
      const metrics = Sums.columnMetrics(this.metric())
      // Totals of lines do not add up.
      const cell = (label, i) => element('th', { scope: 'col', className: `number ${COLUMNS[i]}`, title: metrics[i].text }, label || metrics[i].label,
        element('span', { className: 'sum', text: i === COLUMN.total ? this.metric().label : sums[i] ? this.quantity(sums[i], i) : '–' }))
      return element('thead', {}, element('tr', {}, ...HEADS.map(cell), element('th', { className: 'number', text: 'Line' }), element('th', { text: 'Source' })))
    }

    quantity(value, column) {
      return Sums.columnMetrics(this.metric())[column].memory ? Format.bytes(value) : Format.duration(value)
    }

    // Line numbers to show; less than 0: that many are left out.
    numbers(count, lines) {
      const known = [...lines.keys()].sort((a, b) => a - b)
      if (!count)
        return known
      const wanted = new Set(known.filter(number => number > count || number === 0))
      for (let number = 1; number <= count; number++) {
        if (count <= LONG)
          wanted.add(number)
      }
      for (const number of count > LONG ? [...known, this.app.state.line].filter(Boolean) : []) {
        for (let near = Math.max(number - AROUND, 1); near <= Math.min(number + AROUND, count); near++)
          wanted.add(near)
      }
      const shown = []
      let before = 0
      for (const number of [...wanted].sort((a, b) => a - b)) {
        if (number > before + 1)
          shown.push(before + 1 - number)
        shown.push(number)
        before = number
      }
      if (before < count)
        shown.push(before - count)
      return shown
    }

    row(number, sums, most) {
      const cells = COLUMNS.map((column, i) => {
        const value = sums ? sums[i] : 0
        const cell = element('td', { className: `number heat ${column}`, text: value ? this.quantity(value, i) : '' })
        if (value) {
          cell.style.setProperty('--heat', `${Math.round(Math.sqrt(value / most[i]) * 80)}%`)
          cell.dataset.value = value
        }
        return cell
      })
      const row = element('tr', { className: number && number === this.app.state.line ? 'chosen' : '' }, ...cells,
        element('td', { className: 'number line', text: number || '?' }), this.codeOf(number))
      row.dataset.line = number
      return row
    }

    // The line asked for, else the one that costs the most.
    reveal(lines) {
      const [hottest] = [...lines].sort((a, b) => this.rank(b[1]) - this.rank(a[1]))
      const number = this.app.state.line || (hottest && hottest[0])
      const row = this.listing.querySelector(`tr[data-line="${number}"]`)
      const box = this.listing.querySelector('.scroll')
      if (row && box)
        box.scrollTop = row.offsetTop - box.clientHeight / 3
    }
  }

  return { View }
})()
