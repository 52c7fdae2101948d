// SPDX-License-Identifier: MIT
//
// Opens a .cpuprofile as VS Code does: by its own extension, which builds the model that the
// table, the flame graph and the lines above functions are made from.
//
//   node vscode_profile.mjs EXTENSION_DIRECTORY PROFILE [PAGE]
//
// Prints the places of the model as JSON: function, path, line (from 1; 0: none), and in
// microseconds `self`, `shown_total` (what VS Code shows: inner calls of a recursion count once
// more) and `total` (outermost calls alone). PAGE gets the editor's page, for any browser.
//
// The extension is run as it is; as much of VS Code as it asks for stands in here.
import fs from 'node:fs'
import { Module, createRequire } from 'node:module'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [extensionDirectory, profilePath, pagePath] = process.argv.slice(2)
const editors = new Map()
const nothing = { dispose() {} }

class Uri {
  constructor(fsPath) {
    this.fsPath = this.path = fsPath
    this.scheme = 'file'
  }
  static joinPath = (base, ...parts) => new Uri(path.join(base.fsPath, ...parts))
  toString = () => pathToFileURL(this.fsPath).href
}

const vscode = {
  Uri,
  EventEmitter: class { event = () => nothing; fire() {} },
  Position: class { constructor(line, character) { Object.assign(this, { line, character }) } },
  window: {
    registerCustomEditorProvider(type, editor) {
      editors.set(type, editor)
      return nothing
    },
  },
  workspace: {
    fs: { readFile: uri => fs.promises.readFile(uri.fsPath) },
    registerTextDocumentContentProvider: () => nothing,
  },
  languages: { registerCodeLensProvider: () => nothing },
  commands: { registerCommand: () => nothing, executeCommand() {} },
}

function openEditor() {
  const load = Module._load
  Module._load = (name, ...rest) => (name === 'vscode' ? vscode : load(name, ...rest))
  const { main } = JSON.parse(fs.readFileSync(path.join(extensionDirectory, 'package.json')))
  const extension = createRequire(import.meta.url)(path.join(extensionDirectory, main))
  extension.activate({ subscriptions: [], extensionUri: new Uri(extensionDirectory) })
  return editors.get('jsProfileVisualizer.cpuprofile.table')
}

// What the extension gives the editor to show; VS Code adds the way back, which nobody takes here.
async function pageOf(editor, document) {
  const webview = { asWebviewUri: uri => uri, onDidReceiveMessage: () => nothing }
  await editor.resolveCustomEditor(document, { webview })
  const [first, nonce] = /<script [^>]*nonce="(\w+)">/.exec(webview.html)
  const way = 'globalThis.acquireVsCodeApi = () => ({ getState() {}, setState() {}, postMessage() {} })'
  return webview.html.replace(first, () => `<script nonce="${nonce}">${way}</script>${first}`)
}

function isOutermost(node, nodes) {
  for (let at = nodes[node.parent]; at; at = nodes[at.parent])
    if (at.locationId === node.locationId) return false
  return true
}

function placesOf({ nodes, locations }) {
  const totals = new Map()
  for (const node of nodes)
    totals.set(node.locationId,
      (totals.get(node.locationId) ?? 0) + (isOutermost(node, nodes) ? node.aggregateTime : 0))
  // The others are lines with ticks, which are no calls.
  return locations.filter(l => totals.has(l.id)).map(l => ({
    function: l.callFrame.functionName, path: l.src.source.path, line: l.src.lineNumber,
    self: l.selfTime, shown_total: l.aggregateTime, total: totals.get(l.id),
  }))
}

const editor = openEditor()
const document = await editor.openCustomDocument(new Uri(profilePath))
if (pagePath) fs.writeFileSync(pagePath, await pageOf(editor, document))
console.log(JSON.stringify({ duration: document.userData.duration, places: placesOf(document.userData) }))
