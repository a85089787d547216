import type { SyntaxNode } from '../source/parse.ts'
import { lastName, pythonArguments, pythonCallee, pythonName, pythonString } from '../source/python.ts'
import { linesOf, startOf } from '../source/source-file.ts'
import type { SourceFile } from '../source/source-file.ts'
import { enclosing, spanOf } from '../source/spans.ts'
import type { Candidate, Where } from './candidate.ts'
import { secrecyOf } from './names.ts'

/** Literals of a Python file that stand where secrets belong. */
export function pythonCandidates(file: SourceFile): Candidate[] {
  if (!SECRET_WORD.test(file.text)) return []
  return [
    ...ofAssignments(file),
    ...(CALLS.test(file.text) ? file.nodes('call').flatMap(ofCall) : []),
    ...file.nodes('keyword_argument').flatMap(ofKeyword),
    ...file.nodes('pair').flatMap(ofPair),
    ...file.nodes('default_parameter', 'typed_default_parameter').flatMap(ofParameter),
  ]
}

export const SECRET_WORD =
  /authorization|pass|secret|token|key|pwd|credential|salt|pepper|hmac|jwt|fernet|cipher|serializer|signer/i

/** What `ofCall` looks for. */
const CALLS = /environ|getenv|config|env\b|settings|conf\b|jwt|hmac|Fernet|Serializer|Signer/

function ofAssignments(file: SourceFile): Candidate[] {
  const nodes = file.nodes('assignment').filter((node) => secrecyOf(targetName(node)) !== undefined)
  if (nodes.length === 0) return []
  const classes = file.nodes('class_definition').map((node) => spanOf(node, isSettingsClass(node)))
  const inClass = enclosing(classes, nodes.map(startOf))
  return nodes.flatMap((node, index) => {
    const literal = literalOf(node.field('right'))
    if (literal === undefined) return []
    const where = literal.where ?? (inClass[index]?.at(-1) === true ? 'settings' : 'assignment')
    return [{ ...linesOf(node), name: targetName(node), value: literal.value, where }]
  })
}

/** `X`, `self.x`, `app.config["X"]`. */
function targetName(assignment: SyntaxNode): string {
  const left = assignment.field('left')
  if (left?.kind() === 'subscript') return pythonString(left.field('subscript')) ?? ''
  return lastName(pythonName(left))
}

function isSettingsClass(node: SyntaxNode): boolean {
  const bases = pythonArguments(node.field('superclasses') ?? node).positional.map(pythonName)
  return (
    /settings|config|environ/i.test(node.field('name')?.text() ?? '') ||
    bases.some((base) => /settings|config/i.test(base))
  )
}

interface Literal {
  readonly value: string
  readonly where?: Where
}

/** The literal that an expression comes down to when nothing else is set. */
function literalOf(node: SyntaxNode | null | undefined): Literal | undefined {
  const value = pythonString(node)
  if (value !== undefined) return { value }
  switch (node?.kind()) {
    case 'call':
      return ofWrapper(node)
    case 'boolean_operator': {
      const fallback = pythonString(node.field('right'))
      return node.field('operator')?.text() === 'or' && fallback !== undefined
        ? { value: fallback, where: 'env-default' }
        : undefined
    }
    case 'conditional_expression': {
      const fallback = pythonString(node.children().findLast((child) => child.isNamed()))
      return fallback === undefined ? undefined : { value: fallback, where: 'env-default' }
    }
    default:
      return undefined
  }
}

/** `Field("x")`, `Field(default="x")`, `SecretStr("x")`, `"x".encode()`. */
function ofWrapper(call: SyntaxNode): Literal | undefined {
  const callee = call.field('function')
  if (callee?.kind() === 'attribute' && callee.field('attribute')?.text() === 'encode') {
    return literalOf(callee.field('object'))
  }
  if (!WRAPPER.test(lastName(pythonCallee(call)))) return undefined
  const { positional, named } = pythonArguments(call)
  return literalOf(named.get('default') ?? positional[0])
}

const WRAPPER = /^(Field|field|SecretStr|SecretBytes|Secret|str|bytes|attrib|ib|PrivateAttr|StringField|mapped_column)$/

function ofCall(call: SyntaxNode): Candidate[] {
  const callee = pythonCallee(call)
  const key = CRYPTO_KEY.find(([pattern]) => pattern.test(callee))
  const readsEnvironment = READS_ENVIRONMENT.test(callee)
  if (key === undefined && !readsEnvironment) return []
  const { positional, named } = pythonArguments(call)
  const name = readsEnvironment ? pythonString(positional[0] ?? named.get('key') ?? null) : `${callee} key`
  const value = literalOf(
    key === undefined ? (positional[1] ?? named.get('default')) : (positional[key[1]] ?? named.get('key')),
  )?.value
  if (name === undefined || value === undefined) return []
  return [{ ...linesOf(call), name, value, where: readsEnvironment ? 'env-default' : 'crypto' }]
}

/** `connect(password="x")`, but not of calls that only describe a field. */
function ofKeyword(argument: SyntaxNode): Candidate[] {
  const name = argument.field('name')?.text() ?? ''
  if (secrecyOf(name) === undefined) return []
  const value = argument.field('value')
  const literal = literalOf(value)
  if (value === null || literal === undefined) return []
  const call = argument.parent()?.parent()
  if (call?.kind() === 'call' && DESCRIBES.test(lastName(pythonCallee(call)))) return []
  return [{ ...linesOf(value), name, value: literal.value, where: literal.where ?? 'argument' }]
}

const READS_ENVIRONMENT =
  /^(os\.)?(getenv|environ\.(get|setdefault|pop))$|^(config|env|decouple\.config|env\.str|environ\.Env\(\)|get_env|getenv_or_default|settings\.get|conf\.get|config\.get|app\.config\.(get|setdefault))$/

const CRYPTO_KEY: readonly (readonly [RegExp, number])[] = [
  [/^(jwt|jose\.jwt|jwt_lib|pyjwt)\.(encode|decode)$/, 1],
  [/^hmac\.(new|digest)$/, 0],
  [/^(\w+\.)*Fernet$/, 0],
  [/^(\w+\.)*(URLSafeTimedSerializer|URLSafeSerializer|TimestampSigner)$/, 0],
]

const DESCRIBES =
  /^(Field|Column|mapped_column|Header|Query|Form|Body|Cookie|Path|Param|CharField|TextField|add_argument|Option|Argument|getpass|prompt|_|gettext|Label|Input|text_input)$/

function ofPair(pair: SyntaxNode): Candidate[] {
  const name = pythonString(pair.field('key'))
  if (name === undefined || !isSecretKey(name)) return []
  const literal = literalOf(pair.field('value'))
  return literal === undefined
    ? []
    : [{ ...linesOf(pair), name, value: literal.value, where: literal.where ?? 'property' }]
}

/** A key of a dictionary or an object that may hold a secret, headers included. */
export function isSecretKey(name: string): boolean {
  return secrecyOf(name) !== undefined || /^(proxy-)?authorization$/i.test(name)
}

function ofParameter(parameter: SyntaxNode): Candidate[] {
  const name = parameter.field('name')?.text() ?? ''
  if (secrecyOf(name) === undefined) return []
  const value = pythonString(parameter.field('value'))
  return value === undefined ? [] : [{ ...linesOf(parameter), name, value, where: 'parameter' }]
}

/** Every string of the file that may be a URL with credentials. */
export function pythonStrings(file: SourceFile): Candidate[] {
  if (!file.text.includes('://')) return []
  return file.nodes('string').flatMap((node) => {
    if (!node.text().includes('@')) return []
    const value = pythonString(node)
    return value === undefined ? [] : [{ ...linesOf(node), name: '', value, where: 'assignment' }]
  })
}
