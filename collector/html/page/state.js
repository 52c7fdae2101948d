// SPDX-License-Identifier: MIT
// What is looked at, as the address of the page tells it after its #: sending the address sends the view.
const State = (() => {
  const START = {
    tab: 'graph', metric: 'cpu', threads: null, range: null, search: '', inverted: false, upwards: false, byLine: false,
    frames: 'folded', color: 'kind', theme: 'system', zoom: [], fn: -1, file: '', line: 0,
  }
  const TABS = ['graph', 'functions', 'source', 'native', 'summary']
  const THEMES = ['system', 'light', 'dark']

  const flag = { read: text => text === '1', write: value => value ? '1' : '' }
  const oneOf = choices => ({ read: text => choices.includes(text) ? text : undefined, write: value => value })
  const number = { read: text => /^\d+$/.test(text) ? Number(text) : undefined, write: value => String(value) }
  const list = { read: text => text ? text.split('.').map(Number).filter(Number.isInteger) : [], write: value => value.join('.') }
  const KEYS = {
    tab: oneOf(TABS), metric: oneOf(Object.keys(Sums.METRICS)), threads: list, range: list, search: { read: text => text, write: value => value },
    inverted: flag, upwards: flag, byLine: flag, frames: oneOf(['folded', 'all', 'python']), color: oneOf(['kind', 'library']), theme: oneOf(THEMES), zoom: list,
    fn: number, file: { read: text => text, write: value => value }, line: number,
  }

  function same(a, b) {
    return JSON.stringify(a) === JSON.stringify(b)
  }

  // Anything may stand in an address: what makes no sense is left alone.
  function read(hash, model) {
    const state = { ...START }
    for (const [key, text] of new URLSearchParams(hash.replace(/^#/, ''))) {
      const value = KEYS[key] && KEYS[key].read(text)
      if (value !== undefined)
        state[key] = value
    }
    const { count } = model.functions
    if (state.fn >= count)
      state.fn = -1
    state.zoom = state.zoom.filter(fn => fn < count)
    if (state.range && !(state.range.length === 2 && state.range[0] >= 0 && state.range[0] < state.range[1] && state.range[1] <= model.moments))
      state.range = null
    if (state.threads)
      state.threads = state.threads.filter(index => index < model.threads.length)
    return state
  }

  function write(state) {
    const parameters = new URLSearchParams()
    for (const [key, start] of Object.entries(START)) {
      if (!same(state[key], start))
        parameters.set(key, KEYS[key].write(state[key]))
    }
    return `#${parameters}`
  }

  return { read, write, THEMES }
})()
