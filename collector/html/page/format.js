// SPDX-License-Identifier: MIT
// How quantities and names are written, and how elements are made. Names come out of a profile, which may
// be anybody's: they become text nodes, and characters that would be taken for something else are shown as
// what they are.
const Format = (() => {
  const UNITS = [[1e9, 's'], [1e6, 'ms'], [1e3, 'µs'], [1, 'ns']]
  const BINARY = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

  // Three digits that count.
  function digits(value) {
    const size = Math.abs(value)
    return value.toFixed(size >= 100 || value === 0 ? 0 : size >= 10 ? 1 : 2)
  }

  function grouped(value) {
    return Math.round(value).toString().replace(/\B(?=(\d{3})+$)/g, ',')
  }

  function duration(ns) {
    const size = Math.abs(ns)
    if (size >= 600e9)
      return size >= 36e11 ? `${Math.floor(ns / 36e11)} h ${Math.floor(ns % 36e11 / 6e10)} min`
        : `${Math.floor(ns / 6e10)} min ${Math.floor(ns % 6e10 / 1e9)} s`
    const [scale, unit] = UNITS.find(([s]) => size >= s) || UNITS[1]
    return `${size >= 1e12 ? grouped(ns / scale) : digits(ns / scale)} ${unit}`
  }

  function bytes(count) {
    let power = 0
    let value = count
    while (Math.abs(value) >= 1024 && power < BINARY.length - 1) {
      value /= 1024
      power++
    }
    return `${power ? digits(value) : value} ${BINARY[power]}`
  }

  function percent(part, whole) {
    if (!whole)
      return '–'
    const share = part / whole * 100
    if (share > 0 && share < 0.01)
      return '<0.01 %'
    return `${share >= 99.95 ? share.toFixed(0) : share >= 10 ? share.toFixed(1) : share.toFixed(2)} %`
  }

  // Control characters, and those that change the direction of others.
  const HIDDEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g

  function name(text) {
    return String(text).replace(HIDDEN, c =>
      c === '\n' ? '\\n' : c === '\t' ? '\\t' : `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
  }

  // The end of a path that is too long to show, in a list of such.
  function shortPath(path, room = 36) {
    if (path.length <= room)
      return path
    const parts = path.split('/')
    let shown = parts.pop()
    while (parts.length && parts[parts.length - 1] && shown.length + parts[parts.length - 1].length < room - 2)
      shown = `${parts.pop()}/${shown}`
    return parts.length ? `…/${shown}` : shown
  }

  // An element; properties that begin with "on" are listeners, "data" and "aria" attributes.
  function element(tag, properties = {}, ...children) {
    const made = document.createElement(tag)
    for (const [key, value] of Object.entries(properties)) {
      if (value === undefined || value === null || value === false)
        continue
      if (key.startsWith('on'))
        made.addEventListener(key.slice(2), value)
      else if (key === 'text')
        made.textContent = value
      else if (key in made)
        made[key] = value
      else
        made.setAttribute(key, value === true ? '' : value)
    }
    made.append(...children.filter(c => c !== undefined && c !== null))
    return made
  }

  // A name on its own: no other text takes part in its direction.
  function named(text, properties = {}) {
    return element('bdi', { ...properties, text: name(text) })
  }

  function replace(parent, ...children) {
    parent.replaceChildren(...children.filter(c => c !== undefined && c !== null))
  }

  return { duration, bytes, percent, grouped, shortPath, name, element, named, replace }
})()
