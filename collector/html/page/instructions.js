// SPDX-License-Identifier: MIT
// The instructions of one native function under the source lines that they are of, with what was sampled at each:
// where it was interrupted (self), and what it called (below).
const Instructions = (() => {
  const { element, named } = Format

  // As collector/html/instructions.c writes them; a number stands for instructions that are left out.
  function read([address, text, target, source, line, self = 0, selfSamples = 0, below = 0, belowSamples = 0]) {
    return { address, text, target, source, line, self, selfSamples, below, belowSamples }
  }

  function hex(address) {
    return address.toString(16)
  }

  class Listing {
    constructor(app, code) {
      Object.assign(this, { app, code, all: app.model.info.time.cpu_ns, lines: new Map() })
    }

    // A line of a source file, when the page has it.
    textOf(file, line) {
      if (!this.lines.has(file)) {
        const source = this.app.source.texts.get(file)
        this.lines.set(file, source ? source.text.split('\n') : [])
      }
      return (this.lines.get(file)[line - 1] || '').trim()
    }

    sourceRow({ source, line }) {
      const file = this.code.sources[source]
      const place = line ? `${Format.shortPath(file, 60)}:${line}` : '(no line known)'
      return element('tr', { className: 'of' }, element('td', { colSpan: 3 }), element('td', { className: 'text' }, named(place, { className: 'dim' }),
        '  ', element('code', { dir: 'ltr', text: Format.name(this.textOf(file, line)) })))
    }

    cost(weight, samples, kind, most) {
      const cell = element('td', { className: `number heat ${kind}`, text: weight ? Format.percent(weight, this.all) : '',
        title: weight ? `${Format.duration(weight)} in ${samples} samples` : null })
      if (weight)
        cell.style.setProperty('--heat', `${Math.round(Math.sqrt(weight / most) * 80)}%`)
      return cell
    }

    row(at, most) {
      const row = element('tr', {}, this.cost(at.self, at.selfSamples, 'native', most), this.cost(at.below, at.belowSamples, 'wait', most),
        element('td', { className: 'number line', text: hex(at.address) }), element('td', { className: 'text' },
          element('code', { dir: 'ltr' }, Format.name(at.text || '(not decoded)'), at.target ? element('span', { className: 'comment', text: `  # ${Format.name(at.target)}` }) : null)))
      Object.assign(row.dataset, { address: at.address, self: at.self, below: at.below })
      return row
    }

    rows(instructions) {
      const known = instructions.map(at => Array.isArray(at) ? read(at) : at)
      const most = known.reduce((found, at) => Math.max(found, at.self || 0, at.below || 0), 1)
      let before = null
      return known.flatMap(at => {
        if (typeof at === 'number') {
          before = null
          return [element('tr', { className: 'gap' }, element('td', { colSpan: 4, text: `⋯ ${at} instructions without samples` }))]
        }
        const isNew = !before || at.source !== before.source || at.line !== before.line
        before = at
        return isNew ? [this.sourceRow(at), this.row(at, most)] : [this.row(at, most)]
      })
    }

    place(place) {
      const head = ['Self', 'Below', 'Address', 'Code'].map((text, i) => element('th', { scope: 'col', className: i < 3 ? 'number' : '', text }))
      const library = (place.library_path || '').split('/').pop()
      const where = [named(place.name, { className: 'strong' }), ' ', named(library), place.end > place.start ? ` 0x${hex(place.start)} to 0x${hex(place.end)}` : '',
        ` · self ${Format.duration(place.self_ns)} · total ${Format.duration(place.total_ns)}`, place.inlined ? ' · it is inlined here' : '']
      const made = element('section', { className: 'place' }, element('p', {}, ...where),
        place.problem ? element('p', { className: 'note' }, named(`Not decoded: ${place.problem}.`)) : null,
        element('div', { className: 'scroll' }, element('table', { className: 'code' }, element('thead', {}, element('tr', {}, ...head)),
          element('tbody', {}, ...this.rows(place.instructions)))))
      Object.assign(made.dataset, { start: place.start, self: place.self_ns, total: place.total_ns })
      return made
    }
  }

  function link(app, fn, ...what) {
    return element('button', { type: 'button', className: 'link instructions', 'data-fn': fn, onclick: () => app.go({ tab: 'native', code: fn }) }, ...what)
  }

  function render(app, holder, code) {
    const { functions } = app.model
    const listing = new Listing(app, code)
    Format.replace(holder, element('p', {}, element('button', { type: 'button', className: 'link', text: '‹ all native code', onclick: () => app.go({ code: -1 }) })),
      element('h2', {}, named(functions.name[code.fn])),
      element('p', { className: 'dim', text: 'CPU time of the whole recording and all threads of this page, in shares of it. Self: the function was interrupted '
        + 'before this instruction, so a slow one is one or a few above. Below: in what is called here.' }),
      ...code.places.map(place => listing.place(place)))
    // The hottest one of each, in view.
    for (const place of holder.querySelectorAll('.place')) {
      const rows = [...place.querySelectorAll('tr[data-address]')]
      const hottest = rows.reduce((found, row) => !found || +row.dataset.self + +row.dataset.below > +found.dataset.self + +found.dataset.below ? row : found, null)
      const box = place.querySelector('.scroll')
      if (hottest)
        box.scrollTop = hottest.offsetTop - box.clientHeight / 3
    }
  }

  return { link, render }
})()
