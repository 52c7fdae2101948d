// SPDX-License-Identifier: MIT
// Colours of boxes and of states. Kinds can be told apart by those who see fewer colours: they differ in
// lightness as well, and the legend names them.
const Colors = (() => {
  const { KIND } = Data
  // Hue, saturation, and lightness in the light and in the dark theme.
  const KINDS = {
    python: { label: 'Python', hsl: [207, 62, 76, 36] },
    native: { label: 'Native', hsl: [36, 76, 74, 33] },
    guessed: { label: 'Native, guessed', hsl: [36, 34, 88, 24] },
    gc: { label: 'Garbage collector', hsl: [318, 44, 78, 38] },
    gil: { label: 'Waits for the GIL', hsl: [8, 74, 72, 40] },
    blocked: { label: 'Blocked', hsl: [215, 12, 80, 32] },
    runnable: { label: 'Waits for a CPU', hsl: [58, 62, 70, 32] },
    small: { label: 'Small calls', hsl: [0, 0, 90, 22] },
  }
  const NAMES = ['python', 'native', 'gc', 'gil', 'blocked', 'runnable', 'small', 'small']
  // What a thread does, in the order in which it is stacked.
  const STATES = [
    { label: 'runs Python', hsl: [207, 66, 62, 50] },
    { label: 'runs native code, holding the GIL', hsl: [175, 42, 60, 40] },
    { label: 'runs native code without the GIL', hsl: [36, 82, 62, 50] },
    { label: 'waits for a CPU', hsl: [54, 70, 60, 46] },
    { label: 'waits for the GIL', hsl: [8, 72, 60, 52] },
    { label: 'blocked', hsl: [215, 14, 86, 27] },
  ]
  let dark = false

  function css([hue, saturation, light, darkLight], shift = 0) {
    return `hsl(${hue} ${saturation}% ${(dark ? darkLight : light) + shift}%)`
  }

  function hashOf(text) {
    let hash = 2166136261
    for (let i = 0; i < text.length; i++)
      hash = Math.imul(hash ^ text.charCodeAt(i), 16777619)
    return hash >>> 0
  }

  function kindOf(model, box) {
    const name = NAMES[model.functions.kind[box.fn]]
    return name === 'native' && box.guessed ? 'guessed' : name
  }

  // Neighbours of one kind differ a little, by their names.
  function byKind(model, box) {
    const shift = hashOf(model.functions.name[box.fn]) % 7 - 3
    return css(KINDS[kindOf(model, box)].hsl, shift)
  }

  // Its name, and what tells it from others of that name.
  function libraryOf({ functions }, fn) {
    const kind = functions.kind[fn]
    if (kind === KIND.python) {
      const name = packageOf(functions.shortFile[fn])
      return { name, key: name }
    }
    return functions.library[fn] ? { name: functions.library[fn], key: functions.libraryPath[fn], path: functions.libraryPath[fn] }
      : { name: NAMES[kind], key: NAMES[kind] }
  }

  // "numpy" of "numpy/linalg/linalg.py", "app.py" of itself.
  function packageOf(file) {
    const parts = file.split('/').filter(Boolean)
    return file.startsWith('/') || parts.length < 2 ? parts[parts.length - 1] || '?' : parts[0]
  }

  // Libraries are numbered by their weight in all of the recording. By the golden angle, the hue of each is far
  // from those before it: the heaviest differ the most.
  const numbers = new WeakMap() // by model: numbers by function
  function rank(model, weights) {
    const keys = Array.from({ length: model.functions.count }, (_, fn) => libraryOf(model, fn).key)
    const sums = new Map()
    keys.forEach((key, fn) => sums.set(key, (sums.get(key) || 0) + weights[fn]))
    const places = new Map([...sums].sort((a, b) => b[1] - a[1]).map(([key], i) => [key, i]))
    numbers.set(model, keys.map(key => places.get(key)))
  }

  function byLibrary(model, box) {
    const kind = model.functions.kind[box.fn]
    if (kind !== KIND.python && !model.functions.library[box.fn])
      return byKind(model, box)
    const number = numbers.get(model)[box.fn]
    return css([(200 + Math.round(number * 137.508)) % 360, 38 + number % 3 * 8, 78, 34])
  }

  function setDark(isDark) {
    dark = isDark
  }

  return { KINDS, STATES, css, byKind, byLibrary, rank, libraryOf, kindOf, setDark }
})()
