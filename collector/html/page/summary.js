// SPDX-License-Identifier: MIT
// The recording in figures: the line of facts at the head of the page, and all of what `pillion info` knows.
// Each figure is a <data> element that has the number itself, in nanoseconds, bytes or pieces.
const Summary = (() => {
  const { element, named } = Format

  function figure(value, text) {
    return element('data', { value: String(value), title: Format.grouped(value), text })
  }

  const time = ns => figure(ns, Format.duration(ns))
  const size = bytes => figure(bytes, Format.bytes(bytes))
  const count = number => figure(number, Format.grouped(number))
  const share = (part, whole) => Format.percent(part, whole)

  // What wait(2) said of a process, as the report tells it.
  const SIGNALS = { 1: 'SIGHUP', 2: 'SIGINT', 3: 'SIGQUIT', 4: 'SIGILL', 6: 'SIGABRT', 7: 'SIGBUS', 8: 'SIGFPE', 9: 'SIGKILL', 11: 'SIGSEGV', 13: 'SIGPIPE', 14: 'SIGALRM', 15: 'SIGTERM' }
  function ending(status) {
    const signal = status & 127
    return signal ? `killed by ${SIGNALS[signal] || `signal ${signal}`}` : `exit ${status >> 8}`
  }

  // Each process has a peak of its own: the largest is told.
  function isOfOne(memory) {
    return memory.sum_of_peaks_bytes > memory.peak_bytes
  }

  function dropCount(quality) {
    return Object.values(quality.drops).reduce((sum, n) => sum + n, 0) + quality.lost_records + quality.lost_samples
  }

  function ownShare({ cost }) {
    return share(cost.handler_ns + cost.sampler_cpu_ns, cost.process_cpu_ns)
  }

  // Name, value, whether it is a warning.
  function facts(info) {
    const { recording, time: sums, quality, memory } = info
    const drops = dropCount(quality)
    return [
      ['Duration', time(recording.duration_ns)],
      ['CPU', time(sums.cpu_ns)],
      ['Wall, all threads', time(sums.wall_ns)],
      ...memory ? [[isOfOne(memory) ? 'Peak of one process' : 'Peak memory', size(memory.peak_bytes)]] : [],
      ['Samples', count(quality.samples)],
      ['Accounted', `${share(sums.cpu_ns, sums.clock_cpu_ns)} CPU`],
      ['Dropped', count(drops), drops > 0],
      ['Overhead', ownShare(info)],
    ]
  }

  function showFacts(info, holder) {
    showFigures(facts(info), holder)
  }

  function showFigures(figures, holder) {
    Format.replace(holder, ...figures.map(([name, value, warn]) =>
      element('div', { className: warn ? 'warn' : '' }, element('dt', { text: name }), element('dd', {}, value))))
  }

  // Rows of name, value and remark; without a value they are left out.
  function section(title, rows, id) {
    return { title, id, rows: rows.filter(row => row[1] !== null && row[1] !== undefined) }
  }

  function card({ title, id }, ...content) {
    return element('section', { className: 'card', id: `summary-${id}` }, element('h2', { text: title }), element('table', {}, ...content))
  }

  function row(name, ...cells) {
    const made = element('tr', {}, element('th', { scope: 'row', text: name }), ...cells)
    made.dataset.name = name
    return made
  }

  function alone(of) {
    return card(of, element('tbody', {}, ...of.rows.map(([name, value, remark]) =>
      row(name, element('td', {}, value), element('td', { className: 'dim' }, remark || '')))))
  }

  // The same section of two recordings, side by side.
  function beside(a, b) {
    const names = [...new Set([...a.rows, ...b.rows].map(([name]) => name))]
    const cell = (of, name) => {
      const [, value, remark] = of.rows.find(found => found[0] === name) || [name, '–']
      return element('td', {}, value, remark ? element('div', { className: 'dim', text: remark }) : null)
    }
    return card(a, element('thead', {}, element('tr', {}, ...['', 'A', 'B'].map(text => element('th', { scope: 'col', text })))),
      element('tbody', {}, ...names.map(name => row(name, cell(a, name), cell(b, name)))))
  }

  function recorded(info) {
    const { recording, contents } = info
    const started = new Date(recording.start_unix_ns / 1e6)
    const [first] = info.processes
    return section('Recording', [
      ['Command', named(recording.command)],
      ['Host', named(recording.host)],
      ['Started', started.toISOString().replace('T', ' ').replace(/\.\d+Z/, ' UTC')],
      ['Duration', time(recording.duration_ns)],
      ['Python', first ? `${first.python_version || 'none found'}${first.free_threaded ? ' free-threaded' : ''}` : null, first ? `layout ${first.interpreter_status}` : ''],
      ['Exit status', recording.exit_status === null ? 'not known' : ending(recording.exit_status)],
      ['State', recording.complete ? 'complete' : recording.truncated ? 'cut short' : 'unfinished'],
      ['Stopped', recording.stopped_ns ? time(recording.stopped_ns) : null, `by the program: nothing in it was sampled${contents.kept_processes > 1 ? '; summed over processes' : ''}`],
      ['Written by', `Pillion ${recording.pillion_version}`],
    ], 'recording')
  }

  function rates(info) {
    const { recording, quality, contents } = info
    const per = value => Format.grouped(value)
    return section('Samples', [
      ['Samples', count(quality.samples), `${Format.grouped(quality.on_cpu_samples)} on a CPU, ${Format.grouped(quality.blocked_samples)} blocked`],
      ['Rate', recording.asked_hz ? `${per(recording.reached_hz)} a CPU second` : null, `of ${per(recording.asked_hz)} asked`],
      ['Ticks', `${per(recording.reached_ticks_hz)} a second`, `of ${per(recording.asked_ticks_hz)} asked`],
      ['Threads', count(contents.kept_threads), contents.kept_processes === 1 ? 'in one process' : `in ${Format.grouped(contents.kept_processes)} processes`],
      ...[['native_truncated', 'Native frames cut off'], ['python_truncated', 'Python frames cut off'], ['python_failed', 'Unreadable Python frames'],
        ['guessed', 'With guessed frames'], ['mismatched', 'Joined with a mismatch'], ['without_native', 'Without native frames'], ['without_stack', 'Without a stack']]
        .map(([key, label]) => [label, quality[`${key}_samples`] ? count(quality[`${key}_samples`]) : null, share(quality[`${key}_samples`], quality.samples)]),
    ], 'samples')
  }

  function accounting(info) {
    const { time: t, accounting: a } = info
    return section('Where the time is', [
      ['On a CPU', time(t.cpu_ns), `${share(t.cpu_ns, t.clock_cpu_ns)} of the kernel's ${Format.duration(t.clock_cpu_ns)}`],
      ['Off-CPU', time(t.offcpu_ns)],
      ['Waiting for a CPU', time(t.runnable_ns)],
      ['Wall', time(t.wall_ns), `${share(t.wall_ns, t.clock_wall_ns)} of the kernel's ${Format.duration(t.clock_wall_ns)}`],
      ['GIL held', time(t.gil_hold_ns), `${Format.duration(t.gil_hold_blocked_ns)} of it blocked`],
      ['GIL waited for', time(t.gil_wait_ns)],
      // Of some threads only, the process's clock says nothing.
      ...a ? [
        ['Process CPU clocks', time(a.process_cpu_ns)],
        ['of that sampled', time(a.sampled_cpu_ns), share(a.sampled_cpu_ns, a.process_cpu_ns)],
        ['not sampled', time(a.unsampled_cpu_ns), share(a.unsampled_cpu_ns, a.process_cpu_ns)],
        ['in the sampling thread', time(a.sampling_thread_cpu_ns), share(a.sampling_thread_cpu_ns, a.process_cpu_ns)],
        ['while it was stopped', a.stopped_cpu_ns ? time(a.stopped_cpu_ns) : null, share(a.stopped_cpu_ns, a.process_cpu_ns)],
        ['outside of sampling', time(a.outside_cpu_ns), share(a.outside_cpu_ns, a.process_cpu_ns)],
      ] : [],
    ], 'time')
  }

  function costs(info) {
    const { cost } = info
    return section('What it cost', [
      ['Of the program\'s CPU', ownShare(info)],
      ['Handler', time(cost.handler_ns), `${Format.grouped(cost.handler_calls)} calls`],
      ['Sampling thread', time(cost.sampler_cpu_ns)],
      ['Collector', time(cost.collector_cpu_ns), `outside of the program, ${Format.bytes(cost.collector_peak_rss_bytes)} at most`],
      ['Unwind tables', size(cost.largest_table_bytes)],
      ['Private memory', size(cost.largest_private_bytes)],
    ], 'cost')
  }

  function drops(info) {
    const { quality } = info
    const rows = Object.entries(quality.drops).filter(([, n]) => n).map(([cause, n]) => [cause.replace(/_/g, ' '), count(n)])
    return section('What was dropped', [...rows.length ? rows : [['Samples', 'none']],
      ['Records without sense', quality.lost_records ? count(quality.lost_records) : null],
      ['Not written, disk or memory full', quality.lost_samples ? count(quality.lost_samples) : null]], 'drops')
  }

  function memory({ memory: m }) {
    return section('Memory', !m ? [] : [
      ...Object.entries(m.heap).filter(([, c]) => c.alloc_calls).map(([name, c]) =>
        [name.replace(/_/g, ' '), size(c.alloc_bytes), `${Format.grouped(c.alloc_calls)} calls; counted`]),
      ['Live at the end', size(m.live_bytes), m.processes > 1 ? `sum of ${Format.grouped(m.processes)} processes${m.forked_bytes ? ', with what each was forked with' : ''}` : ''],
      ['Peak', size(m.peak_bytes), `${isOfOne(m) ? 'of one process, ' : ''}after ${Format.duration(m.peak_after_ns)}`],
      ...m.checks.map(c => [`Samples of ${c.of}`, size(c.sampled_bytes), `${Format.grouped(c.samples)} samples; ${(c.difference_share * 100).toFixed(1)} % off the count`]),
    ], 'memory')
  }

  // Of `all`, the first `most`.
  function wide(id, title, heads, all, most, row) {
    const rows = all.slice(0, most).map(row)
    return element('section', { className: 'card wide', id: `summary-${id}` }, element('h2', { text: title }), element('div', { className: 'scroll' },
      element('table', {}, element('thead', {}, element('tr', {}, ...heads.map(text => element('th', { scope: 'col', text })))),
        element('tbody', {}, ...rows.map(cells => element('tr', {}, ...cells.map(cell => element('td', {}, cell))))))),
    ...all.length > most ? [element('p', { className: 'dim', text: `and ${all.length - most} more` })] : [])
  }

  function processes(info) {
    return wide('processes', 'Processes', ['PID', 'Command', 'Python', 'CPU', 'Wall', 'GIL held', 'Ended'],
      info.processes, 200, p => [String(p.pid), named(p.command), p.python_version || '–', time(p.time.cpu_ns), time(p.time.wall_ns),
        time(p.time.gil_hold_ns), p.exit_status === null ? p.ended ? 'not known' : 'no' : ending(p.exit_status)])
  }

  function threads(info) {
    return wide('threads', 'Threads', ['TID', 'PID', 'Name', 'Runs', 'CPU', 'Wall', 'GIL held', 'GIL waited for'],
      info.threads, 500, t => [String(t.tid), String(t.pid), named(t.name || '–'), t.entry ? named(t.entry.function) : '–',
        time(t.time.cpu_ns), time(t.time.wall_ns), time(t.time.gil_hold_ns), time(t.time.gil_wait_ns)])
  }

  function notes(model) {
    const items = [...model.left_out, ...model.info.notes.map(note => note.text)]
    if (model.thread_filter || model.process_filter)
      items.unshift(`This page is of ${[model.thread_filter && `threads "${model.thread_filter}"`, model.process_filter && `processes "${model.process_filter}"`].filter(Boolean).join(' in ')} alone.`)
    return items.length ? element('section', { className: 'card wide', id: 'summary-notes' }, element('h2', { text: 'Notes' }),
      element('ul', {}, ...items.map(text => element('li', {}, named(text))))) : null
  }

  function sections(info) {
    return [recorded(info), rates(info), accounting(info), costs(info), drops(info), memory(info)]
  }

  function render(model, holder) {
    const { info } = model
    Format.replace(holder, element('div', { className: 'cards' }, ...sections(info).filter(of => of.rows.length).map(alone),
      notes(model), processes(info), threads(info)))
  }

  // Of the recordings A and B.
  function compare([a, b], holder) {
    const right = sections(b)
    Format.replace(holder, element('div', { className: 'cards' }, ...sections(a).map((of, i) => of.rows.length || right[i].rows.length ? beside(of, right[i]) : null).filter(Boolean)))
  }

  return { showFacts, showFigures, render, compare }
})()
