import type { SyntaxNode } from '../../source/parse.ts'
import { isFunction, requiredModule, scriptArguments, scriptCallee, scriptName, unwrap } from '../../source/script.ts'
import { startOf } from '../../source/source-file.ts'
import type { Ref } from './facts.ts'

/** What an argument refers to; of arrays and spreads each part. Strings, objects and the like refer to nothing. */
export function refsOf(node: SyntaxNode | null | undefined, depth = 0): Ref[] {
  const bare = unwrap(node)
  if (bare === undefined || depth > 4) return []
  if (isFunction(bare)) return [{ name: '', isCall: false, id: startOf(bare), inner: [], at: startOf(bare) }]
  switch (bare.kind()) {
    case 'identifier':
    case 'shorthand_property_identifier':
    case 'member_expression':
    case 'subscript_expression':
      return [{ name: scriptName(bare), isCall: false, inner: [], at: startOf(bare) }]
    case 'array':
      return bare
        .children()
        .filter((child) => child.isNamed())
        .flatMap((child) => refsOf(child, depth + 1))
    case 'spread_element':
      return refsOf(bare.child(1), depth + 1)
    case 'ternary_expression':
      return refsOf(bare.field('consequence'), depth + 1)
    case 'new_expression':
    case 'call_expression':
      return [callRef(bare, depth)]
    default:
      return []
  }
}

function callRef(call: SyntaxNode, depth: number): Ref {
  const source = requiredModule(call)
  const at = startOf(call)
  if (source !== undefined) return { name: '', isCall: false, source, inner: [], at }
  const inner = scriptArguments(call).flatMap((argument) => refsOf(argument, depth + 1))
  const callee = unwrap(call.field('function') ?? call.field('constructor'))
  // require('./routes')(deps), import('./x').then(…)
  const required = requiredModule(callee)
  const name = required === undefined ? scriptCallee(call).replace(/<.*>$/, '') : ''
  return { name, isCall: true, inner, at, ...(required !== undefined && { source: required }) }
}
