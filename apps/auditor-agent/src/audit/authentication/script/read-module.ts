import type { SyntaxNode } from '../../source/parse.ts'
import {
  isFunction,
  objectLiteral,
  propertyName,
  requiredModule,
  scriptArguments,
  scriptCallee,
  scriptName,
  scriptString,
  unwrap,
} from '../../source/script.ts'
import { startOf } from '../../source/source-file.ts'
import type { SourceFile } from '../../source/source-file.ts'
import type { Framework, InstanceFacts, ScriptModule } from './facts.ts'
import { readEvents } from './read-events.ts'
import { readFunctions, scopesOf } from './read-functions.ts'

/** What a file may have to do with who may call what; most files have nothing, and cost one search. */
const RELEVANT =
  /fastify|express|koa|hono|router|\b40[13]\b|unauthori|forbidden|jwt|authenticat|passport|addHook|preHandler|\.(post|put|patch|delete|register|use)\(/i

export function readModule(file: SourceFile): ScriptModule {
  const imports = file.scriptImports
  const exports = readExports(file)
  if (!RELEVANT.test(file.text)) {
    const none = {
      functions: new Map<number, never>(),
      named: new Map<string, number>(),
      aliases: new Map<string, never[]>(),
      plugins: new Set<number>(),
    }
    return {
      path: file.path,
      imports,
      ...exports,
      ...none,
      instances: [],
      routes: [],
      uses: [],
      hooks: [],
      registers: [],
      bindings: [],
    }
  }
  return {
    path: file.path,
    imports,
    ...exports,
    ...readFunctions(file),
    instances: readInstances(file),
    ...readEvents(file),
  }
}

function readInstances(file: SourceFile): InstanceFacts[] {
  const nodes = file.nodes(
    'variable_declarator',
    'assignment_expression',
    'field_definition',
    'public_field_definition',
  )
  const scopes = scopesOf(file, nodes)
  return nodes.flatMap((node, index) => {
    const value = unwrap(node.field('value') ?? node.field('right'))
    if (value?.kind() !== 'call_expression' && value?.kind() !== 'new_expression') return []
    const made = makerOf(value, file)
    if (made === undefined) return []
    const target = node.field('name') ?? node.field('left') ?? node.field('property')
    const isField = node.kind() === 'field_definition' || node.kind() === 'public_field_definition'
    const name = isField ? `this.${propertyName(target)}` : scriptName(target)
    return [{ name, scope: isField ? [] : (scopes[index] ?? []), ...made }]
  })
}

/** The application or router that an expression makes, also behind helpers: `Fastify().withTypeProvider()`. */
function makerOf(
  value: SyntaxNode,
  file: SourceFile,
): { kind: 'app' | 'router'; framework: Framework; prefix: string } | undefined {
  let call = value
  for (let depth = 0; depth < 10; depth++) {
    const callee = unwrap(call.field('function'))
    const inner = callee?.kind() === 'member_expression' ? unwrap(callee.field('object')) : undefined
    if (inner?.kind() !== 'call_expression' && inner?.kind() !== 'new_expression') break
    if (requiredModule(inner) !== undefined) break
    call = inner
  }
  const callee = scriptCallee(call).replace(/<.*>$/, '')
  const source =
    file.scriptImports.names.get(callee.split('.')[0] ?? '')?.source ??
    requiredModule(unwrap(call.field('function'))) ??
    ''
  const prefix = scriptString(objectLiteral(scriptArguments(call)[0])?.properties.get('prefix')) ?? ''
  if (/^(fastify|Fastify)$/.test(callee) || source === 'fastify') return { kind: 'app', framework: 'fastify', prefix }
  if (/(^|\.)(Router|IRouter|PromiseRouter|KoaRouter)$/.test(callee))
    return { kind: 'router', framework: source.includes('koa') ? 'koa' : 'express', prefix }
  if (callee === 'express' || source === 'express') return { kind: 'app', framework: 'express', prefix }
  if (/^(Koa)$/.test(callee)) return { kind: 'app', framework: 'koa', prefix }
  // One Hono is mounted on another, so each may be either.
  if (/^(Hono|OpenAPIHono)$/.test(callee)) return { kind: 'router', framework: 'hono', prefix }
  return undefined
}

type Exports = Pick<ScriptModule, 'exports' | 'reexports'>

function readExports(file: SourceFile): Exports {
  const exports = new Map<string, string>()
  const reexports: { name: string; source: string; imported: string }[] = []
  if (file.text.includes('export'))
    for (const node of file.nodes('export_statement')) readExport(node, exports, reexports)
  if (file.text.includes('exports'))
    for (const node of file.nodes('assignment_expression')) readCommonExport(node, exports)
  return { exports, reexports }
}

function readExport(
  node: SyntaxNode,
  exports: Map<string, string>,
  reexports: { name: string; source: string; imported: string }[],
): void {
  const source = scriptString(node.field('source'))
  const clause = node.children().find((child) => child.kind() === 'export_clause')
  if (source !== undefined && clause === undefined) reexports.push({ name: '*', source, imported: '*' })
  for (const item of clause?.children().filter((child) => child.kind() === 'export_specifier') ?? []) {
    const local = item.field('name')?.text() ?? ''
    const name = item.field('alias')?.text() ?? local
    if (source === undefined) exports.set(name, local)
    else reexports.push({ name, source, imported: local })
  }
  const declaration = node.field('declaration')
  const isDefault = node.children().some((child) => child.kind() === 'default')
  for (const declarator of declaration?.children().filter((child) => child.kind() === 'variable_declarator') ?? []) {
    const name = declarator.field('name')?.text() ?? ''
    exports.set(name, name)
  }
  const declared = declaration?.field('name')?.text()
  if (declared !== undefined) exports.set(isDefault ? 'default' : declared, declared)
  if (isDefault) exportValue('default', unwrap(node.field('value') ?? declaration), exports)
}

/** `module.exports = x`, `module.exports = { a, b: c }`, `exports.a = x`. */
function readCommonExport(node: SyntaxNode, exports: Map<string, string>): void {
  const left = scriptName(node.field('left'))
  const value = unwrap(node.field('right'))
  const member = /^(?:module\.)?exports\.(\w+)$/.exec(left)?.[1]
  if (member !== undefined) return exportValue(member, value, exports)
  if (left !== 'module.exports') return
  exportValue('default', value, exports)
  for (const [name, property] of objectLiteral(value)?.properties ?? []) exportValue(name, unwrap(property), exports)
}

function exportValue(name: string, value: SyntaxNode | undefined, exports: Map<string, string>): void {
  if (value === undefined) return
  const kind = value.kind()
  if (isFunction(value)) exports.set(name, `#${startOf(value)}`)
  else if (kind === 'identifier' || kind === 'shorthand_property_identifier' || kind === 'member_expression')
    exports.set(name, scriptName(value))
  else if (kind === 'call_expression') {
    // export default fp(plugin): what is wrapped is what counts.
    const inner = unwrap(scriptArguments(value)[0])
    if (inner !== undefined && isFunction(inner)) exports.set(name, `#${startOf(inner)}`)
    else if (inner?.kind() === 'identifier') exports.set(name, inner.text())
  }
}
