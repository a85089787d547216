import type { SyntaxNode } from '../source/parse.ts'
import {
  objectLiteral,
  propertyName,
  scriptArguments,
  scriptCallee,
  scriptName,
  scriptString,
  unwrap,
} from '../source/script.ts'
import { linesOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import type { Candidate, Where } from './candidate.ts'
import { SECRET_WORD, isSecretKey } from './python-secrets.ts'

const KINDS = [
  'variable_declarator',
  'assignment_expression',
  'pair',
  'public_field_definition',
  'field_definition',
  'required_parameter',
  'optional_parameter',
  'assignment_pattern',
  'object_assignment_pattern',
] as const

/** Literals of a TypeScript or JavaScript file that stand where secrets belong. */
export function scriptCandidates(file: SourceFile): Candidate[] {
  if (!SECRET_WORD.test(file.text)) return []
  return [
    ...file.nodes(...KINDS).flatMap(ofTarget),
    ...file.nodes('call_expression', 'new_expression').flatMap(ofCall),
    ...file.nodes('binary_expression', 'ternary_expression').flatMap(ofFallback),
  ]
}

function ofTarget(node: SyntaxNode): Candidate[] {
  const target = targetOf(node)
  if (target === undefined || !isSecretKey(target.name)) return []
  const literal = literalOf(target.value)
  return literal === undefined
    ? []
    : [{ ...linesOf(node), name: target.name, value: literal.value, where: literal.where ?? target.where }]
}

interface Target {
  readonly name: string
  readonly value: SyntaxNode | null
  readonly where: Where
}

function targetOf(node: SyntaxNode): Target | undefined {
  switch (node.kind()) {
    case 'variable_declarator':
      return { name: node.field('name')?.text() ?? '', value: node.field('value'), where: 'assignment' }
    case 'assignment_expression':
      return { name: lastOf(node.field('left')), value: node.field('right'), where: 'assignment' }
    case 'pair':
      return { name: propertyName(node.field('key')), value: node.field('value'), where: 'property' }
    case 'public_field_definition':
      return { name: propertyName(node.field('name')), value: node.field('value'), where: 'assignment' }
    case 'field_definition':
      return { name: propertyName(node.field('property')), value: node.field('value'), where: 'assignment' }
    case 'required_parameter':
    case 'optional_parameter':
      return { name: node.field('pattern')?.text() ?? '', value: node.field('value'), where: 'parameter' }
    case 'assignment_pattern':
    case 'object_assignment_pattern':
      return {
        name: node.field('left')?.text() ?? '',
        value: node.field('right'),
        where: isFromEnvironment(node) ? 'env-default' : 'parameter',
      }
    default:
      return undefined
  }
}

/** `const { JWT_SECRET = 'x' } = process.env`. */
function isFromEnvironment(pattern: SyntaxNode): boolean {
  const declarator = pattern.parent()?.parent()
  return declarator?.kind() === 'variable_declarator' && isEnvironment(declarator.field('value'))
}

function isEnvironment(node: SyntaxNode | null | undefined): boolean {
  return /^(process|Bun|import\.meta|Deno)\.env\b/.test(scriptName(node))
}

function lastOf(node: SyntaxNode | null): string {
  if (node?.kind() === 'subscript_expression') return scriptString(node.field('index')) ?? ''
  const name = scriptName(node)
  return name.slice(name.lastIndexOf('.') + 1).replace(/^#/, '')
}

interface Literal {
  readonly value: string
  readonly where?: Where
}

/** The literal that an expression comes down to when nothing else is set. Fallbacks of the environment come by themselves. */
function literalOf(node: SyntaxNode | null | undefined, depth = 0): Literal | undefined {
  const bare = unwrap(node)
  if (bare === undefined || depth > 4) return undefined
  const value = scriptString(bare)
  if (value !== undefined) return { value }
  switch (bare.kind()) {
    case 'binary_expression': {
      if (!isFallback(bare) || environmentName(bare.field('left')) !== undefined) return undefined
      const right = scriptString(bare.field('right'))
      return right === undefined ? undefined : { value: right, where: 'env-default' }
    }
    case 'call_expression':
    case 'new_expression':
      return ofWrapper(bare, depth)
    default:
      return undefined
  }
}

function ofWrapper(call: SyntaxNode, depth: number): Literal | undefined {
  const callee = scriptCallee(call)
  const [first] = scriptArguments(call)
  // zod, valibot and friends: z.string().min(1).default('x')
  if (/\)\.default$/.test(callee)) return asDefault(scriptString(first))
  // TypeBox, envalid: Type.String({ default: 'x' }), str({ default: 'x' })
  if (/(^|\.)(String|str|string|Secret)$/.test(callee))
    return asDefault(scriptString(objectLiteral(first)?.properties.get('default')))
  if (/(^|\.)(encode|from|createSecretKey)$/.test(callee)) return literalOf(first, depth + 1)
  if (/\.(toString|trim)$/.test(callee)) return literalOf(call.field('function')?.field('object'), depth + 1)
  return undefined
}

function asDefault(value: string | undefined): Literal | undefined {
  return value === undefined ? undefined : { value, where: 'env-default' }
}

function ofCall(call: SyntaxNode): Candidate[] {
  const callee = scriptCallee(call)
  if (!CALLS.test(callee)) return []
  const given = scriptArguments(call)
  // config.get('JWT_SECRET', 'x'), env.get('JWT_SECRET', 'x')
  if (
    /(^|\.)_?(config|configService|env|environment|settings|conf)\.(get|getOrThrow|string|str)(<.*>)?$/i.test(callee)
  ) {
    const name = scriptString(given[0])
    const value = scriptString(given[1])
    return name === undefined || value === undefined ? [] : [{ ...linesOf(call), name, value, where: 'env-default' }]
  }
  const key = CRYPTO_KEY.find(([pattern]) => pattern.test(callee))
  const value = key === undefined ? undefined : literalOf(given[key[1]])?.value
  return value === undefined ? [] : [{ ...linesOf(call), name: `${callee} key`, value, where: 'crypto' }]
}

/** What `ofCall` looks for. */
const CALLS = /\.(get|getOrThrow|string|str|sign|verify)(Async)?(<.*>)?$|createHmac$|createCipheriv$|^cookieParser$/

const CRYPTO_KEY: readonly (readonly [RegExp, number])[] = [
  [/^(jwt|jsonwebtoken|JWT)\.(sign|verify)(Async)?$/, 1],
  [/^(crypto\.)?createHmac$/, 1],
  [/^(crypto\.)?createCipheriv$/, 1],
  [/^cookieParser$/, 0],
]

/** `process.env.KEY ?? 'x'`, `process.env['KEY'] || 'x'`, `process.env.KEY ? process.env.KEY : 'x'`. */
function ofFallback(node: SyntaxNode): Candidate[] {
  if (node.kind() === 'ternary_expression') {
    const name = environmentName(node.field('condition'))
    const value = scriptString(node.field('alternative'))
    return name === undefined || value === undefined ? [] : [{ ...linesOf(node), name, value, where: 'env-default' }]
  }
  if (!isFallback(node)) return []
  const value = scriptString(node.field('right'))
  const name = value === undefined ? undefined : environmentName(node.field('left'))
  return value === undefined || name === undefined ? [] : [{ ...linesOf(node), name, value, where: 'env-default' }]
}

function isFallback(node: SyntaxNode): boolean {
  const operator = node.field('operator')?.text()
  return operator === '??' || operator === '||'
}

/** The variable that an expression reads from the environment; of `a ?? b` the last one. */
function environmentName(node: SyntaxNode | null): string | undefined {
  const bare = unwrap(node)
  if (bare === undefined) return undefined
  if (bare.kind() === 'binary_expression')
    return environmentName(bare.field('right')) ?? environmentName(bare.field('left'))
  if (bare.kind() !== 'member_expression' && bare.kind() !== 'subscript_expression') return undefined
  if (!isEnvironment(bare.field('object')) && !/^(env|ENV|environment)$/.test(scriptName(bare.field('object'))))
    return undefined
  return lastOf(bare)
}

/** Every string of the file that may be a URL with credentials. */
export function scriptStrings(file: SourceFile): Candidate[] {
  if (!file.text.includes('://')) return []
  return file.nodes('string', 'template_string').flatMap((node) => {
    if (!node.text().includes('@')) return []
    const value = scriptString(node)
    return value === undefined ? [] : [{ ...linesOf(node), name: '', value, where: 'assignment' }]
  })
}
