import { existsSync, globSync } from 'node:fs'
import path from 'node:path'
import { importsOf } from './imports-of.ts'

/** What a package.json says that matters here. */
interface Manifest {
  readonly name: string
  /** Folder of the package, relative to the root, with forward slashes. */
  readonly dir: string
  readonly floor: number | undefined
  readonly dependencies: ReadonlySet<string>
  readonly devDependencies: ReadonlySet<string>
}

export interface FloorReport {
  readonly packages: number
  /** One line per breach, sorted. */
  readonly faults: readonly string[]
}

const TESTKIT = '@hypercode/testkit'
const E2E = '@hypercode/e2e'

/**
 * Checks that every workspace dependency stands on a lower floor (which also rules out circles), that every package says
 * on which floor it stands, that `testkit` serves tests only, and that the sources import nothing but what their
 * package.json declares, no app, and nothing of another package by its path.
 */
export function findFloorFaults(root: string, read: (file: string) => string): FloorReport {
  const manifests = globSync('{apps,packages}/*/package.json', { cwd: root })
    .concat(existsSync(path.join(root, 'infra/dev/package.json')) ? ['infra/dev/package.json'] : [])
    .map((file) => parseManifest(path.posix.dirname(file.replaceAll(path.sep, '/')), read(path.join(root, file))))
  const byName = new Map(manifests.map((manifest) => [manifest.name, manifest]))
  // Tests of the packages that `testkit` itself stands on cannot declare it: the root does, for all of them.
  const forAllTests = declaredByRoot(root, read)
  const faults = manifests.flatMap((manifest) => [
    ...declarationFaults(manifest, byName),
    ...sourceFaults({ root, read, byName, forAllTests }, manifest),
  ])
  return { packages: manifests.length, faults: faults.toSorted() }
}

function declarationFaults(manifest: Manifest, byName: ReadonlyMap<string, Manifest>): string[] {
  const { name, dir, floor } = manifest
  if (floor === undefined) return [`${dir}/package.json names no floor: add "hypercode": { "floor": 0 to 9 }`]
  const tooHigh = [...manifest.dependencies, ...manifest.devDependencies].flatMap((dependency) => {
    const lower = byName.get(dependency)?.floor
    // Tests stand above everything that they test.
    const isForTests = dependency === TESTKIT && !manifest.dependencies.has(dependency)
    if (lower === undefined || lower < floor || isForTests) return []
    return [`${name} (floor ${floor}) must not depend on ${dependency} (floor ${lower})`]
  })
  const misplaced = manifest.dependencies.has(TESTKIT) && name !== E2E
  return misplaced ? [...tooHigh, `${name} must name ${TESTKIT} as a devDependency only`] : tooHigh
}

interface Tree {
  readonly root: string
  readonly read: (file: string) => string
  readonly byName: ReadonlyMap<string, Manifest>
  readonly forAllTests: ReadonlySet<string>
}

function sourceFaults(tree: Tree, manifest: Manifest): string[] {
  const dir = path.join(tree.root, manifest.dir)
  const skipped = new Set(['node_modules', 'dist', 'publish', 'fixtures', '.turbo', 'coverage'])
  const files = globSync(['**/*.ts', '**/*.tsx', '**/*.mts', '**/*.mjs', '**/*.js'], {
    cwd: dir,
    exclude: (entry) => skipped.has(path.basename(entry)),
  })
  return files.flatMap((file) => {
    const shown = `${manifest.dir}/${file.replaceAll(path.sep, '/')}`
    const isShipped = file.startsWith(`src${path.sep}`) && !manifest.dir.startsWith('infra/') // those tools never leave the checkout
    const known = new Set([
      ...manifest.dependencies,
      ...(isShipped ? [] : [...manifest.devDependencies, ...tree.forAllTests]),
    ])
    return [...new Set(importsOf(tree.read(path.join(dir, file))))].flatMap((specifier) => {
      const fault = importFault(specifier, shown, manifest, known, tree.byName)
      return fault === undefined ? [] : [`${shown} ${fault}`]
    })
  })
}

function importFault(
  specifier: string,
  file: string,
  manifest: Manifest,
  known: ReadonlySet<string>,
  byName: ReadonlyMap<string, Manifest>,
): string | undefined {
  if (specifier.startsWith('.')) {
    const target = path.posix.join(path.posix.dirname(file), specifier)
    return target.startsWith(`${manifest.dir}/`) ? undefined : `reaches out of its package: ${specifier}`
  }
  const name = /^(@hypercode\/[^/]+)/.exec(specifier)?.[1]
  if (name === undefined || name === manifest.name) return undefined
  if (byName.get(name)?.dir.startsWith('apps/')) return `imports the app ${name}: move what both need a floor down`
  if (known.has(name)) return undefined
  if (manifest.devDependencies.has(name)) return `imports ${name}, which its package.json declares for development only`
  return `imports ${name}, which its package.json does not declare`
}

function declaredByRoot(root: string, read: (file: string) => string): Set<string> {
  const file = path.join(root, 'package.json')
  if (!existsSync(file)) return new Set()
  const manifest: unknown = JSON.parse(read(file))
  return new Set(Object.keys(asRecord(asRecord(manifest)['devDependencies'])))
}

function parseManifest(dir: string, text: string): Manifest {
  const json: unknown = JSON.parse(text)
  const manifest = asRecord(json)
  const floor = asRecord(manifest['hypercode'])['floor']
  const names = (...fields: string[]): Set<string> =>
    new Set(fields.flatMap((field) => Object.keys(asRecord(manifest[field]))))
  return {
    name: String(manifest['name']),
    dir,
    floor: typeof floor === 'number' && Number.isInteger(floor) && floor >= 0 ? floor : undefined,
    dependencies: names('dependencies', 'peerDependencies', 'optionalDependencies'),
    devDependencies: names('devDependencies'),
  }
}

function asRecord(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
}
