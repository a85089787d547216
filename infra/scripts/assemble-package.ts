import { cpSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import path from 'node:path'

export interface Assembled {
  readonly files: number
  /** Names of the workspace packages that travel inside. */
  readonly internal: readonly string[]
}

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly engines: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, Readonly<Record<string, string>>>>
  readonly dependencies?: Readonly<Record<string, string>>
}

interface Workspace {
  readonly folder: string
  readonly manifest: Manifest
}

/** Its types are part of the API: author and package must share one copy. */
const PEERS = new Set(['@sinclair/typebox'])
/** The declarations speak of Node's own types. */
const NODE_TYPES = '@types/node'

/**
 * Makes one package out of a built workspace package and all the workspace packages that it stands on: they go under
 * `dist/internal`, imports of them become relative, and their third-party dependencies become its own. The result is in
 * `publish` below the folder of the package.
 * @throws when a build is missing, a dependency is asked for in two versions, or an import could not be rewritten
 */
export function assemblePackage(root: string, folder: string): Assembled {
  const publish = path.join(folder, 'publish')
  const own = readWorkspace(folder)
  const internal = internalPackages(root, own)
  rmSync(publish, { recursive: true, force: true })
  mkdirSync(publish)
  copyBuild(own, path.join(publish, 'dist'))
  for (const one of internal.values()) copyBuild(one, internalFolder(publish, one))
  const targets = exportTargets(publish, internal)
  const files = globSync('dist/**/*.{js,d.ts}', { cwd: publish }).map((file) => path.join(publish, file))
  for (const file of files) rewrite(file, targets)
  for (const entry of Object.values(own.manifest.exports)) referNodeTypes(path.join(publish, entry['types'] ?? ''))
  const nodeTypes = { [NODE_TYPES]: rangeOf(root, NODE_TYPES) }
  writeManifest(publish, own, [own, ...internal.values()], nodeTypes)
  cpSync(path.join(folder, 'README.md'), path.join(publish, 'README.md'))
  cpSync(path.join(root, 'LICENSE'), path.join(publish, 'LICENSE'))
  return { files: files.length, internal: [...internal.keys()] }
}

const readWorkspace = (folder: string): Workspace => ({
  folder,
  manifest: JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Manifest,
})

/** The workspace packages below one, each once. */
function internalPackages(root: string, own: Workspace, found = new Map<string, Workspace>()): Map<string, Workspace> {
  for (const [name, range] of Object.entries(own.manifest.dependencies ?? {})) {
    if (!range.startsWith('workspace:') || found.has(name)) continue
    const one = readWorkspace(path.join(root, 'packages', path.basename(name)))
    found.set(name, one)
    internalPackages(root, one, found)
  }
  return found
}

const internalFolder = (publish: string, { manifest }: Workspace): string =>
  path.join(publish, 'dist/internal', path.basename(manifest.name))

function copyBuild({ folder, manifest }: Workspace, target: string): void {
  const dist = path.join(folder, 'dist')
  const files = globSync('**/*.{js,d.ts}', { cwd: dist })
  if (files.length === 0) throw new Error(`${manifest.name} is not built`)
  for (const file of files) {
    const text = readFileSync(path.join(dist, file), 'utf8')
    mkdirSync(path.dirname(path.join(target, file)), { recursive: true })
    // The maps point to sources that are not part of the package.
    writeFileSync(path.join(target, file), text.replace(/^\/\/# sourceMappingURL=.*\n?/m, ''))
  }
}

/** `@hypercode/contracts` → the file in the published folder that it stands for. */
function exportTargets(publish: string, internal: ReadonlyMap<string, Workspace>): Map<string, string> {
  const targets = new Map<string, string>()
  for (const [name, one] of internal) {
    for (const [subpath, entry] of Object.entries(one.manifest.exports)) {
      const file = path.relative('dist', entry['default'] ?? '')
      targets.set(path.posix.join(name, subpath), path.join(internalFolder(publish, one), file))
    }
  }
  return targets
}

function rewrite(file: string, targets: ReadonlyMap<string, string>): void {
  const text = readFileSync(file, 'utf8')
  const result = text.replace(IMPORT, (whole, before: string, quote: string, specifier: string) => {
    const target = targets.get(specifier)
    if (target === undefined) throw new Error(`${file} imports ${specifier}, which is not in the package`)
    const relative = path.relative(path.dirname(file), target)
    return `${before}${quote}${relative.startsWith('.') ? relative : `./${relative}`}${quote}`
  })
  if (result !== text) writeFileSync(file, result)
}

/** `from '…'`, `import '…'` and `import('…')` of a workspace package, as the compiler writes them. */
const IMPORT = /(\b(?:from|import)\s*\(?\s*)(['"])(@hypercode\/[\w./-]+)\2/g

/** A project that names no types of its own still gets Node's. */
function referNodeTypes(file: string): void {
  writeFileSync(file, `/// <reference types="node" />\n${readFileSync(file, 'utf8')}`)
}

function writeManifest(
  publish: string,
  own: Workspace,
  all: readonly Workspace[],
  more: Readonly<Record<string, string>>,
): void {
  const { name, version, description, license, engines, exports } = own.manifest
  const ranges = new Map(all.flatMap((one) => thirdParty(one)))
  for (const [dependency, range] of all.flatMap((one) => thirdParty(one))) {
    if (ranges.get(dependency) !== range) throw new Error(`${dependency} is asked for as ${range} and otherwise`)
  }
  const sorted = [...ranges].sort(([a], [b]) => (a < b ? -1 : 1))
  const manifest = {
    name,
    version,
    description,
    license,
    type: 'module',
    engines,
    exports: Object.fromEntries(
      Object.entries(exports).map(([subpath, { types, default: file }]) => [subpath, { types, default: file }]),
    ),
    files: ['dist'],
    dependencies: { ...Object.fromEntries(sorted.filter(([one]) => !PEERS.has(one))), ...more },
    peerDependencies: Object.fromEntries(sorted.filter(([one]) => PEERS.has(one))),
  }
  writeFileSync(path.join(publish, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`)
}

/** What a package asks for from outside, as ranges from the version that is installed and tested. */
function thirdParty({ folder, manifest }: Workspace): [string, string][] {
  return Object.entries(manifest.dependencies ?? {})
    .filter(([, range]) => !range.startsWith('workspace:'))
    .map(([name]) => [name, rangeOf(folder, name)])
}

function rangeOf(folder: string, name: string): string {
  const file = path.join(folder, 'node_modules', name, 'package.json')
  return `^${(JSON.parse(readFileSync(file, 'utf8')) as Manifest).version}`
}
