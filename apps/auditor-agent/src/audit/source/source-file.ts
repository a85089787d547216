import type { InventoryFile } from '../inventory/inventory.ts'
import { parseSource } from './parse.ts'
import type { SyntaxNode } from './parse.ts'
import { pythonImports } from './python.ts'
import type { PythonImports } from './python.ts'
import { IMPORT_KINDS, scriptImports } from './script.ts'
import type { ScriptImports } from './script.ts'

export interface Lines {
  readonly line: number
  readonly endLine: number
}

/** One file while it is being visited: its text, and its tree once somebody asks for it. */
export class SourceFile {
  readonly entry: InventoryFile
  readonly text: string
  readonly #found = new Map<string, SyntaxNode[]>()
  #root: SyntaxNode | undefined
  #lines: string[] | undefined
  #pythonImports: PythonImports | undefined
  #scriptImports: ScriptImports | undefined

  constructor(entry: InventoryFile, text: string) {
    this.entry = entry
    this.text = text
  }

  get path(): string {
    return this.entry.path
  }

  get root(): SyntaxNode {
    this.#root ??= parseSource(this.entry.language, this.text)
    return this.#root
  }

  get lines(): readonly string[] {
    this.#lines ??= this.text.split(/\r?\n/)
    return this.#lines
  }

  get pythonImports(): PythonImports {
    this.#pythonImports ??= pythonImports(this.nodes('import_statement', 'import_from_statement'))
    return this.#pythonImports
  }

  get scriptImports(): ScriptImports {
    this.#scriptImports ??= scriptImports(this.nodes(...IMPORT_KINDS))
    return this.#scriptImports
  }

  /** All nodes of these kinds in the order of the text. Asking twice costs nothing. */
  nodes(...kinds: readonly string[]): readonly SyntaxNode[] {
    const key = kinds.join(' ')
    const known = this.#found.get(key)
    if (known !== undefined) return known
    const unknown = UNKNOWN_KINDS[this.entry.language === 'javascript' ? 'javascript' : 'typescript']
    const rules = kinds.filter((kind) => !unknown.has(kind)).map((kind) => ({ kind }))
    const [only] = rules
    const found = only === undefined ? [] : this.root.findAll({ rule: rules.length === 1 ? only : { any: rules } })
    this.#found.set(key, found)
    return found
  }
}

/** Kinds that one of the two grammars lacks; asking for them would be an error. */
const UNKNOWN_KINDS = {
  javascript: new Set([
    'abstract_class_declaration',
    'public_field_definition',
    'required_parameter',
    'optional_parameter',
  ]),
  typescript: new Set(['field_definition']),
}

export function linesOf(node: SyntaxNode): Lines {
  const { start, end } = node.range()
  return { line: start.line + 1, endLine: end.line + 1 }
}

export function startOf(node: SyntaxNode): number {
  const known = starts.get(node)
  if (known !== undefined) return known
  const start = node.range().start.index
  starts.set(node, start)
  return start
}

const starts = new WeakMap<SyntaxNode, number>()
