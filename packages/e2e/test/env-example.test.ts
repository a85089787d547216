import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Lang, parse } from '@ast-grep/napi'
import { expect, test } from 'vitest'

const repository = fileURLToPath(new URL('../../../', import.meta.url))
const example = readFileSync(join(repository, '.env.example'), 'utf8')

/** The variables that schemas for `loadConfig` name, with the text of their default. */
const variables = globSync('{apps,packages}/*/src/**/*.ts', { cwd: repository, exclude: ['**/node_modules/**'] })
  .filter((file) => !file.startsWith('packages/config/'))
  .flatMap((file) => {
    const source = readFileSync(join(repository, file), 'utf8')
    if (!source.includes('@hypercode/config')) return []
    const pairs = parse(Lang.TypeScript, source)
      .root()
      .findAll({ rule: { kind: 'pair', inside: { kind: 'object', inside: { kind: 'arguments' } } } })
    return pairs
      .map((pair) => ({ file, name: pair.field('key')?.text() ?? '', schema: pair.field('value')?.text() ?? '' }))
      .filter(({ name }) => /^[A-Z][A-Z0-9_]{2,}$/.test(name))
  })

/** The value that `.env.example` shows, also where it is commented out; `undefined` when it says nothing. */
function shown(name: string): string | undefined {
  return new RegExp(`^(?:# )?${name}(?:_FILE)?=(.*)$`, 'm').exec(example)?.[1]
}

test('.env.example lists every variable of every service', () => {
  expect(new Set(variables.map(({ name }) => name)).size).toBeGreaterThan(20)
  const missing = variables.filter(({ name }) => shown(name) === undefined)
  expect(missing.map(({ file, name }) => `${file} ${name}`)).toEqual([])
})

test('.env.example shows the defaults that the services have', () => {
  const wrong = variables.flatMap(({ file, name, schema }) => {
    const [, text, number, other] = /\bdefault: (?:'([^']*)'|(\d[\d_]*)|(true|false|\[\]))/.exec(schema) ?? []
    const value = text ?? number?.replaceAll('_', '') ?? (other === '[]' ? '' : other)
    return value === undefined || shown(name) === value
      ? []
      : [`${file} ${name} is ${value} and not ${shown(name) ?? 'there'}`]
  })
  expect(wrong).toEqual([])
})
