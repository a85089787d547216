import type { ScriptPackage } from './inventory.ts'

const SERVERS =
  /^(fastify|express|koa|@koa\/.*|hono|@hono\/node-server|restify|@hapi\/hapi|@nestjs\/core|@nestjs\/common|@hypercode\/.*)$/
const BROWSERS =
  /^(react|react-dom|preact|vue|svelte|solid-js|lit|@angular\/core|vite|@vitejs\/.*|react-scripts|next|nuxt|expo|react-native|@sveltejs\/kit)$/

/** Reads one package.json; a file that is no JSON object counts as a package that says nothing. */
export function packageOf(path: string, text: string): ScriptPackage {
  const dir = path.slice(0, Math.max(0, path.lastIndexOf('/')))
  const manifest = parseObject(text)
  const dependencies = ['dependencies', 'devDependencies', 'peerDependencies'].flatMap((field) => {
    const group = manifest[field]
    return typeof group === 'object' && group !== null ? Object.keys(group) : []
  })
  const browser = dependencies.some((name) => BROWSERS.test(name)) && !dependencies.some((name) => SERVERS.test(name))
  const name = manifest['name']
  return typeof name === 'string' ? { dir, name, browser } : { dir, browser }
}

/** Deepest folder first, so that the first match for a path is its nearest package. */
export function browserPackages(packages: readonly ScriptPackage[]): ScriptPackage[] {
  return packages.toSorted((a, b) => b.dir.length - a.dir.length)
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}
