// SPDX-License-Identifier: MIT
// What a page was given: base64, gzip, parts (collector/html/parts.h), and what both pages know of functions and
// of calls. profile.js and changes.js read the rest, each for its own page.
const Data = (() => {
  // In the order of enum pln_html_kind in functions.h.
  const KIND = { python: 0, native: 1, gc: 2, gil: 3, blocked: 4, runnable: 5, small: 6, none: 7 }

  function bytesOf(base64) {
    const text = base64.replace(/\s+/g, '')
    if (Uint8Array.fromBase64)
      return Uint8Array.fromBase64(text)
    const binary = atob(text)
    const bytes = new Uint8Array(binary.length)
    for (let i = 0; i < binary.length; i++)
      bytes[i] = binary.charCodeAt(i)
    return bytes
  }

  async function unpacked(bytes) {
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('gzip'))
    return new Uint8Array(await new Response(stream).arrayBuffer())
  }

  // Varints, least significant seven bits first; weights may have 53 bits.
  class Reader {
    constructor(bytes) {
      this.bytes = bytes
      this.at = 0
    }

    varint() {
      let value = 0
      let scale = 1
      for (;;) {
        const byte = this.bytes[this.at++]
        value += (byte & 127) * scale
        if (byte < 128)
          return value
        scale *= 128
      }
    }

    column(array) {
      for (let i = 0; i < array.length; i++)
        array[i] = this.varint()
      return array
    }
  }

  function parts(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const found = []
    if (String.fromCharCode(...bytes.subarray(0, 4)) !== 'PLNH')
      throw new Error('the data of this page is damaged')
    for (let at = 4; at < bytes.length;) {
      const size = view.getUint32(at, true)
      found.push(bytes.subarray(at + 4, at + 4 + size))
      at += 4 + size
    }
    return found
  }

  function readFunctions(rows) {
    const column = i => rows.map(row => row[i])
    return {
      count: rows.length, name: column(0), short: column(1), file: column(2), shortFile: column(3),
      library: column(4), libraryPath: column(5), line: column(6), kind: Uint8Array.from(column(7)),
    }
  }

  // Calls in depth-first order: those below call n are n + 1 up to end[n]. Columns that are not there are 0.
  function readNodes(bytes, columns) {
    const reader = new Reader(bytes)
    const count = reader.varint()
    const up = reader.column(new Uint32Array(count))
    const nodes = {
      count, fn: new Uint32Array(count), line: new Uint32Array(count), guessed: new Uint8Array(count),
      parent: new Int32Array(count), end: new Uint32Array(count),
    }
    for (const column of columns)
      reader.column(nodes[column])
    const path = []
    for (let n = 0; n < count; n++) {
      path.length -= up[n]
      nodes.parent[n] = path.length ? path[path.length - 1] : -1
      path.push(n)
    }
    return closed(nodes)
  }

  function closed(nodes) {
    nodes.end.fill(0)
    for (let n = nodes.count - 1; n >= 0; n--) {
      nodes.end[n] = Math.max(nodes.end[n], n + 1)
      const parent = nodes.parent[n]
      if (parent >= 0 && nodes.end[parent] < nodes.end[n])
        nodes.end[parent] = nodes.end[n]
    }
    return nodes
  }

  // Facts about calls that no filter changes.
  function prepare(model) {
    const { nodes, functions } = model
    const { count, fn, parent, end } = nodes
    const isWait = kind => kind === KIND.gil || kind === KIND.blocked || kind === KIND.runnable
    nodes.kind = new Uint8Array(count)
    nodes.owner = new Int32Array(count) // the call that waits, or itself
    nodes.outer = new Uint8Array(count) // no caller of it is of the same function
    nodes.python = new Int32Array(count) // the nearest Python call, itself or a caller; -1: none
    const open = new Int32Array(functions.count)
    const path = []
    for (let n = 0; n < count; n++) {
      const kind = nodes.kind[n] = functions.kind[fn[n]]
      while (path.length && end[path[path.length - 1]] <= n)
        open[fn[path.pop()]]--
      nodes.outer[n] = open[fn[n]]++ === 0 ? 1 : 0
      path.push(n)
      nodes.owner[n] = isWait(kind) && parent[n] >= 0 ? parent[n] : n
      nodes.python[n] = kind === KIND.python ? n : parent[n] >= 0 ? nodes.python[parent[n]] : -1
    }
    nodes.isWait = isWait
    nodes.inner = innerOf(model)
  }

  // Native calls that lead to Python code, of the interpreter itself or in front of any Python code.
  function innerOf({ nodes, functions }) {
    const { count, fn, parent, kind, python } = nodes
    const isInterpreter = functions.library.map(library => /^(lib)?python/.test(library))
    const leads = new Uint8Array(count)
    const inner = new Uint8Array(count)
    for (let n = count - 1; n >= 0; n--) {
      if (parent[n] >= 0 && (leads[n] || kind[n] === KIND.python))
        leads[parent[n]] = 1
      inner[n] = kind[n] === KIND.native && leads[n] && (isInterpreter[fn[n]] || python[n] < 0) ? 1 : 0
    }
    return inner
  }

  function json(part) {
    return JSON.parse(new TextDecoder().decode(part))
  }

  function check(format) {
    if (format !== 1)
      throw new Error(`the data of this page has format ${format}, which it does not know`)
  }

  // Where a function is, in few words.
  function place({ functions }, fn) {
    if (functions.kind[fn] === KIND.python)
      return `${Format.shortPath(functions.shortFile[fn])}:${functions.line[fn]}`
    return functions.library[fn] || ''
  }

  // `modelOf`: from the parts to what the page works with.
  async function load(modelOf) {
    if (typeof DecompressionStream === 'undefined')
      throw new Error('this browser is too old: it takes Chrome or Edge 111, Firefox 113, Safari 16.4, or later')
    const holder = document.getElementById('profile')
    const bytes = bytesOf(holder.textContent)
    holder.remove()
    return modelOf(parts(await unpacked(bytes)))
  }

  return { KIND, Reader, readFunctions, readNodes, prepare, json, check, place, load }
})()
