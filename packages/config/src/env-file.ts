import { readFileSync } from 'node:fs'
import { parseEnv } from 'node:util'

/** The variables that an `.env.example` sets, by name; none when there is no such file, as in a container image. */
export function readExampleValues(path: string): Record<string, string> {
  try {
    return parse(readFileSync(path, 'utf8'))
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return {}
    throw error
  }
}

/**
 * The text of a real `.env`: the example with each generated value in the place of the example's, comments and order
 * kept. A variable that the example shows commented out is set there, one that it does not show is added at the end.
 *
 * @throws {Error} for a value that no quotation can carry through an env file
 */
export function renderEnv(exampleText: string, generated: Readonly<Record<string, string>>): string {
  const left = new Map(Object.entries(generated))
  const place = (line: string, name: string | undefined): string => {
    const value = name === undefined ? undefined : left.get(name)
    if (name === undefined || value === undefined) return line
    left.delete(name)
    return `${name}=${quote(name, value)}`
  }
  const live = exampleText.split('\n').map((line) => place(line, /^(?:export\s+)?([A-Z][A-Z0-9_]*)=/.exec(line)?.[1]))
  const lines = live.map((line) => place(line, /^#\s*([A-Z][A-Z0-9_]*)=/.exec(line)?.[1]))
  const added = [...left].map(([name, value]) => `${name}=${quote(name, value)}`)
  const text = [lines.join('\n').replace(/\n*$/, ''), ...added].join('\n')
  return `${text}\n`
}

function quote(name: string, value: string): string {
  const forms = [value, `'${value}'`, `"${value}"`, `\`${value}\``]
  const form = forms.find((candidate) => isCarried(name, candidate, value))
  if (form === undefined) throw new Error(`the value of ${name} cannot be written in an env file`)
  return form
}

/** Whether a line is read back as exactly this value and nothing else, also with other lines around it. */
function isCarried(name: string, form: string, value: string): boolean {
  if (!form.startsWith('"') && form === value && /[^\w\-.:/@+=,?&%~]/.test(value)) return false
  const read = parse(`BEFORE=1\n${name}=${form}\nAFTER=1\n`)
  return read[name] === value && read['BEFORE'] === '1' && read['AFTER'] === '1' && Object.keys(read).length === 3
}

function parse(text: string): Record<string, string> {
  const pairs = Object.entries(parseEnv(text)).filter((pair): pair is [string, string] => pair[1] !== undefined)
  return Object.fromEntries(pairs)
}
