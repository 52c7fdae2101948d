// SPDX-License-Identifier: MIT
// What is looked at in the page of a profile.
const State = (() => {
  const { flag, text, number, list, oneOf } = Address
  const START = {
    tab: 'graph', metric: 'cpu', threads: null, range: null, search: '', inverted: false, upwards: false, byLine: false,
    frames: 'folded', color: 'kind', theme: 'system', zoom: [], fn: -1, code: -1, file: '', line: 0,
  }
  const KINDS = {
    tab: oneOf(['graph', 'functions', 'source', 'native', 'summary']), metric: oneOf(Object.keys(Sums.METRICS)), threads: list, range: list, search: text,
    inverted: flag, upwards: flag, byLine: flag, frames: Address.frames, color: oneOf(['kind', 'library']), theme: Address.theme, zoom: list,
    fn: number, code: number, file: text, line: number,
  }

  function read(hash, model) {
    const state = Address.read(hash, START, KINDS)
    const { count } = model.functions
    if (state.fn >= count)
      state.fn = -1
    if (!model.code.has(state.code))
      state.code = -1
    state.zoom = state.zoom.filter(fn => fn < count)
    if (state.range && !(state.range.length === 2 && state.range[0] >= 0 && state.range[0] < state.range[1] && state.range[1] <= model.moments))
      state.range = null
    if (state.threads)
      state.threads = state.threads.filter(index => index < model.threads.length)
    return state
  }

  return { read, write: state => Address.write(state, START, KINDS) }
})()
