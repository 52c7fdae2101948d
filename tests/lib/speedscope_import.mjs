// SPDX-License-Identifier: MIT
//
// Reads a profile with speedscope's own importer, the one that its page uses, and prints
// what it understood as JSON: for each profile its name, unit, total weight, and self and
// total weight by frame.
//
//   node speedscope_import.mjs PACKAGE_DIRECTORY PROFILE
//
// The package holds the importer only inside the bundle of the page. The bundle is run
// here with as much of a browser as its start touches, up to the point where it would
// draw; the module with the importer is found by the name of its export.
import fs from 'node:fs'
import path from 'node:path'
import vm from 'node:vm'

const [packageDirectory, profilePath] = process.argv.slice(2)

function bundleSource() {
  const directory = path.join(packageDirectory, 'dist', 'release')
  const name = fs.readdirSync(directory).find(f => /^speedscope-.*\.js$/.test(f))
  return fs.readFileSync(path.join(directory, name), 'utf8')
}

function loadImporter() {
  let source = bundleSource()
  const exports = /\b(\w+)=\{\};\$?\w+\(\1,\{[^}]*importProfilesFromArrayBuffer:/.exec(source)[1]
  const init = new RegExp(`(\\w+)\\(\\),${exports.replace('$', '\\$')}\\)`).exec(source)[1]
  // The last statement of the bundle draws the page.
  const end = source.lastIndexOf('})();')
  const draw = source.lastIndexOf('console.log(`speedscope v')
  source = source.slice(0, draw) + `globalThis.importer=()=>{${init}();return ${exports}};` + source.slice(end)
  const anything = new Proxy(function () {}, {
    get: (_, key) => (key === Symbol.toPrimitive ? () => '' : anything),
    apply: () => anything,
    construct: () => anything,
    set: () => true,
  })
  const page = {
    console: { log() {}, warn() {}, error: console.error, assert() {} },
    document: anything, navigator: { userAgent: '', platform: '' },
    location: { href: 'file:///', hash: '', protocol: 'file:' },
    addEventListener() {}, matchMedia: () => ({ matches: false, addListener() {}, addEventListener() {} }),
    requestAnimationFrame() {}, setTimeout, clearTimeout, performance, URL, URLSearchParams, fetch: anything,
    TextDecoder, TextEncoder, DecompressionStream, Blob, Response, atob, btoa, localStorage: anything,
    FileReader: anything, Image: anything, HTMLElement: function () {}, Element: function () {},
    Uint8Array, ArrayBuffer,
  }
  page.window = page.self = page.globalThis = page
  vm.runInNewContext(source, page)
  return page.importer()
}

function summary(profile) {
  const frames = []
  profile.forEachFrame(f => frames.push({
    name: f.name, file: f.file ?? null, line: f.line ?? null,
    self: f.getSelfWeight(), total: f.getTotalWeight(),
  }))
  return {
    name: profile.getName(), unit: profile.getWeightUnit(),
    total: profile.getTotalNonIdleWeight(), weight: profile.getTotalWeight(), frames,
  }
}

const bytes = fs.readFileSync(profilePath)
const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
const group = await loadImporter().importProfilesFromArrayBuffer(path.basename(profilePath), buffer)
console.log(JSON.stringify({
  name: group.name, active: group.indexToView, profiles: group.profiles.map(summary),
}))
