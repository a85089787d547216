import type { SyntaxNode } from './parse.ts'

/** The value of a string literal without interpolation, adjacent literals joined; undefined for anything else. */
export function pythonString(node: SyntaxNode | null | undefined): string | undefined {
  if (node === null || node === undefined) return undefined
  switch (node.kind()) {
    case 'string':
      return plainString(node)
    case 'concatenated_string': {
      const parts = node.children().map((part) => plainString(part))
      return parts.some((part) => part === undefined) ? undefined : parts.join('')
    }
    case 'parenthesized_expression':
      return pythonString(node.child(1))
    default:
      return undefined
  }
}

function plainString(node: SyntaxNode): string | undefined {
  if (node.kind() !== 'string') return undefined
  let value = ''
  for (const part of node.children()) {
    if (part.kind() === 'interpolation') return undefined
    if (part.kind() === 'string_content') value += part.text()
  }
  return value
}

export interface PythonArguments {
  readonly positional: readonly SyntaxNode[]
  readonly named: ReadonlyMap<string, SyntaxNode>
  /** There is a `*x` or `**x`, so any argument may be given. */
  readonly splat: boolean
}

export function pythonArguments(call: SyntaxNode): PythonArguments {
  const positional: SyntaxNode[] = []
  const named = new Map<string, SyntaxNode>()
  let splat = false
  const list = call.kind() === 'call' ? call.field('arguments') : call
  for (const argument of list?.children() ?? []) {
    if (!argument.isNamed() || argument.kind() === 'comment') continue
    const kind = argument.kind()
    if (kind === 'list_splat' || kind === 'dictionary_splat') splat = true
    else if (kind === 'keyword_argument') {
      const value = argument.field('value')
      if (value !== null) named.set(argument.field('name')?.text() ?? '', value)
    } else positional.push(argument)
  }
  return { positional, named, splat }
}

/** `a.b.c` of a plain path of names; for other expressions their text, cut short. */
export function pythonName(node: SyntaxNode | null | undefined): string {
  if (node === null || node === undefined) return ''
  const kind = node.kind()
  if (kind === 'identifier') return node.text()
  const text = node.text()
  return text.length > 200 ? `${text.slice(0, 200)}…` : text.replaceAll(/\s+/g, '')
}

/** What a call calls: `os.environ.get`, `asyncio.get_event_loop().create_task`. */
export function pythonCallee(call: SyntaxNode): string {
  const known = callees.get(call)
  if (known !== undefined) return known
  const name = pythonName(call.field('function'))
  callees.set(call, name)
  return name
}

/** Every audit asks for it, and each question crosses over to the parser. */
const callees = new WeakMap<SyntaxNode, string>()

export const lastName = (dotted: string): string => dotted.slice(dotted.lastIndexOf('.') + 1)

/** Statements of a block, comments left out. */
export function pythonStatements(block: SyntaxNode | null | undefined): SyntaxNode[] {
  return (block?.children() ?? []).filter((child) => child.isNamed() && child.kind() !== 'comment')
}

export interface PythonImport {
  /** Dots in front of a relative import. */
  readonly level: number
  readonly module: string
  /** What is imported out of the module; undefined for `import module`. */
  readonly symbol?: string
}

export interface PythonImports {
  /** By the name that the file uses. */
  readonly names: ReadonlyMap<string, PythonImport>
  readonly wildcards: readonly PythonImport[]
  /** Top-level packages that are imported anywhere in the file. */
  readonly packages: ReadonlySet<string>
}

export function pythonImports(statements: readonly SyntaxNode[]): PythonImports {
  const names = new Map<string, PythonImport>()
  const wildcards: PythonImport[] = []
  const packages = new Set<string>()
  for (const statement of statements) {
    const isFrom = statement.kind() === 'import_from_statement'
    const source = isFrom ? sourceOf(statement) : undefined
    if (source !== undefined && source.level === 0) packages.add(source.module.split('.')[0] ?? '')
    const items = isFrom ? statement.fieldChildren('name') : statement.children().filter((child) => child.isNamed())
    for (const item of items) {
      const path = item.kind() === 'aliased_import' ? (item.field('name')?.text() ?? '') : item.text()
      const alias = item.kind() === 'aliased_import' ? item.field('alias')?.text() : undefined
      if (source !== undefined) names.set(alias ?? path, { ...source, symbol: path })
      else {
        packages.add(path.split('.')[0] ?? '')
        names.set(alias ?? path, { level: 0, module: path })
      }
    }
    if (source !== undefined && statement.children().some((child) => child.kind() === 'wildcard_import')) {
      wildcards.push(source)
    }
  }
  return { names, wildcards, packages }
}

function sourceOf(statement: SyntaxNode): { level: number; module: string } {
  const text = statement.field('module_name')?.text().replaceAll(/\s+/g, '') ?? ''
  const level = /^\.*/.exec(text)?.[0].length ?? 0
  return { level, module: text.slice(level) }
}
