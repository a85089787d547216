import type { SyntaxNode } from '../../source/parse.ts'
import { startOf } from '../../source/source-file.ts'
import type { SourceFile } from '../../source/source-file.ts'
import { enclosing, spanOf } from '../../source/spans.ts'
import type { Scope } from './facts.ts'

/** The names of the functions and classes around each node. Nodes must be in the order of the text. */
export function scopesOf(file: SourceFile, nodes: readonly SyntaxNode[]): Scope[] {
  const spans = file
    .nodes('function_definition', 'class_definition')
    .map((node) => spanOf(node, node.field('name')?.text() ?? ''))
  return enclosing(spans, nodes.map(startOf))
}
