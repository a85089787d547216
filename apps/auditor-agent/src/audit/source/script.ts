import type { SyntaxNode } from './parse.ts'

/** Takes off what changes nothing at run time: parentheses, `as`, `satisfies`, `!`, `await`. */
export function unwrap(node: SyntaxNode | null | undefined): SyntaxNode | undefined {
  let current = node ?? undefined
  for (let depth = 0; current !== undefined && depth < 20; depth++) {
    const kind = String(current.kind())
    if (!WRAPPERS.has(kind)) return current
    current = current.children().find((child) => child.isNamed() && child.kind() !== 'comment')
  }
  return current
}

const WRAPPERS = new Set([
  'parenthesized_expression',
  'as_expression',
  'satisfies_expression',
  'non_null_expression',
  'await_expression',
])

/** The value of a string literal or of a template without substitutions; undefined for anything else. */
export function scriptString(node: SyntaxNode | null | undefined): string | undefined {
  const bare = unwrap(node)
  if (bare === undefined) return undefined
  const kind = bare.kind()
  if (kind !== 'string' && kind !== 'template_string') return undefined
  let value = ''
  for (const part of bare.children()) {
    if (part.kind() === 'template_substitution') return undefined
    if (part.kind() === 'string_fragment' || part.kind() === 'escape_sequence') value += part.text()
  }
  return value
}

/** `a.b.c` of names; `?.`, `!`, `this` kept plain; other expressions as their text without blanks, cut short. */
export function scriptName(node: SyntaxNode | null | undefined): string {
  if (node === null || node === undefined) return ''
  const text = node.text()
  return text.length > 200
    ? `${text.slice(0, 200)}…`
    : text.replaceAll(/\s+/g, '').replaceAll('?.', '.').replaceAll('!', '')
}

export function scriptCallee(call: SyntaxNode): string {
  const known = callees.get(call)
  if (known !== undefined) return known
  const name = scriptName(call.field(call.kind() === 'new_expression' ? 'constructor' : 'function'))
  callees.set(call, name)
  return name
}

/** Every audit asks for it, and each question crosses over to the parser. */
const callees = new WeakMap<SyntaxNode, string>()

/** Arguments of a call or of `new`, comments left out. */
export function scriptArguments(call: SyntaxNode): SyntaxNode[] {
  const list = call.field('arguments')
  if (list === null || list.kind() === 'template_string') return []
  return list.children().filter((child) => child.isNamed() && child.kind() !== 'comment')
}

export interface ObjectLiteral {
  readonly properties: ReadonlyMap<string, SyntaxNode>
  /** Names of methods and shorthand properties. */
  readonly names: ReadonlySet<string>
  /** There is a `...x`, so any property may be given. */
  readonly spread: boolean
}

/** The properties of an object literal; undefined when the node is something else. */
export function objectLiteral(node: SyntaxNode | null | undefined): ObjectLiteral | undefined {
  const bare = unwrap(node)
  if (bare?.kind() !== 'object') return undefined
  const properties = new Map<string, SyntaxNode>()
  const names = new Set<string>()
  let spread = false
  for (const child of bare.children()) {
    const kind = child.kind()
    if (kind === 'spread_element') spread = true
    else if (kind === 'shorthand_property_identifier') {
      names.add(child.text())
      properties.set(child.text(), child)
    } else if (kind === 'method_definition') names.add(propertyName(child.field('name')))
    else if (kind === 'pair') {
      const name = propertyName(child.field('key'))
      const value = child.field('value')
      names.add(name)
      if (value !== null) properties.set(name, value)
    }
  }
  return { properties, names, spread }
}

/** The name of a property however it is written: `a`, `'a'`, `['a']`, `#a`. */
export function propertyName(key: SyntaxNode | null | undefined): string {
  if (key === null || key === undefined) return ''
  if (key.kind() === 'computed_property_name') return scriptString(key.child(1)) ?? key.text()
  return scriptString(key) ?? key.text().replace(/^#/, '')
}

export const FUNCTION_KINDS = [
  'function_declaration',
  'generator_function_declaration',
  'function_expression',
  'generator_function',
  'arrow_function',
  'method_definition',
] as const

const FUNCTIONS: ReadonlySet<string> = new Set(FUNCTION_KINDS)

export function isFunction(node: SyntaxNode | null | undefined): boolean {
  return node !== null && node !== undefined && FUNCTIONS.has(String(node.kind()))
}

export interface ScriptImport {
  /** The module as it is written. */
  readonly source: string
  /** `default`, `*` for the namespace, or the name in the module. */
  readonly name: string
}

export interface ScriptImports {
  /** By the name that the file uses. */
  readonly names: ReadonlyMap<string, ScriptImport>
  /** Every module that is imported or required anywhere. */
  readonly sources: ReadonlySet<string>
}

export const IMPORT_KINDS = ['import_statement', 'call_expression', 'variable_declarator'] as const

/** Imports of an ES module and requires of a CommonJS one. `nodes` are the nodes of IMPORT_KINDS. */
export function scriptImports(nodes: readonly SyntaxNode[]): ScriptImports {
  const names = new Map<string, ScriptImport>()
  const sources = new Set<string>()
  for (const node of nodes) {
    const kind = node.kind()
    if (kind === 'import_statement') importStatement(node, names, sources)
    else if (kind === 'variable_declarator') requireDeclarator(node, names)
    else {
      const source = requiredModule(node)
      if (source !== undefined) sources.add(source)
    }
  }
  return { names, sources }
}

/** The module of `require('x')` or `import('x')`. */
export function requiredModule(node: SyntaxNode | undefined): string | undefined {
  if (node?.kind() !== 'call_expression') return undefined
  const callee = node.field('function')?.text()
  return callee === 'require' || callee === 'import' ? scriptString(scriptArguments(node)[0]) : undefined
}

function importStatement(node: SyntaxNode, names: Map<string, ScriptImport>, sources: Set<string>): void {
  const source = scriptString(node.field('source'))
  if (source === undefined) return
  sources.add(source)
  const clause = node.children().find((child) => child.kind() === 'import_clause')
  for (const part of clause?.children() ?? []) {
    if (part.kind() === 'identifier') names.set(part.text(), { source, name: 'default' })
    else if (part.kind() === 'namespace_import') names.set(part.child(2)?.text() ?? '', { source, name: '*' })
    else if (part.kind() === 'named_imports') {
      for (const item of part.children().filter((child) => child.kind() === 'import_specifier')) {
        const name = item.field('name')?.text() ?? ''
        names.set(item.field('alias')?.text() ?? name, { source, name })
      }
    }
  }
}

function requireDeclarator(node: SyntaxNode, names: Map<string, ScriptImport>): void {
  const value = unwrap(node.field('value'))
  const target = node.field('name')
  if (value === undefined || target === null) return
  const isMember = value.kind() === 'member_expression'
  const source = requiredModule(isMember ? (unwrap(value.field('object')) ?? undefined) : value)
  if (source === undefined) return
  const member = isMember ? (value.field('property')?.text() ?? 'default') : undefined
  if (target.kind() === 'identifier') names.set(target.text(), { source, name: member ?? 'default' })
  if (target.kind() !== 'object_pattern' || member !== undefined) return
  for (const part of target.children()) {
    if (part.kind() === 'shorthand_property_identifier_pattern') names.set(part.text(), { source, name: part.text() })
    else if (part.kind() === 'pair_pattern') {
      names.set(part.field('value')?.text() ?? '', { source, name: propertyName(part.field('key')) })
    }
  }
}
