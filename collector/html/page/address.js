// SPDX-License-Identifier: MIT
// What is looked at, as the address of the page tells it after its #: sending the address sends the view.
const Address = (() => {
  const flag = { read: text => text === '1', write: value => value ? '1' : '' }
  const text = { read: given => given, write: value => value }
  const number = { read: given => /^\d+$/.test(given) ? Number(given) : undefined, write: value => String(value) }
  const list = { read: given => given ? given.split('.').map(Number).filter(Number.isInteger) : [], write: value => value.join('.') }
  const oneOf = choices => ({ read: given => choices.includes(given) ? given : undefined, write: value => value })

  function same(a, b) {
    return JSON.stringify(a) === JSON.stringify(b)
  }

  // `start`: what is looked at when the address says nothing; `kinds`: how each part of it is written.
  // Anything may stand in an address: what makes no sense is left alone.
  function read(hash, start, kinds) {
    const state = { ...start }
    for (const [key, given] of new URLSearchParams(hash.replace(/^#/, ''))) {
      const value = Object.hasOwn(kinds, key) ? kinds[key].read(given) : undefined
      if (value !== undefined)
        state[key] = value
    }
    return state
  }

  function write(state, start, kinds) {
    const parameters = new URLSearchParams()
    for (const [key, first] of Object.entries(start)) {
      if (!same(state[key], first))
        parameters.set(key, kinds[key].write(state[key]))
    }
    return `#${parameters}`
  }

  return { flag, text, number, list, oneOf, theme: oneOf(['system', 'light', 'dark']), frames: oneOf(['folded', 'all', 'python']), read, write }
})()
