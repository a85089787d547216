import { Lang, parse, registerDynamicLanguage } from '@ast-grep/napi'
import type { SgNode } from '@ast-grep/napi'
import python from '@ast-grep/lang-python'
import type { Language } from '../inventory/languages.ts'

/** A node of a syntax tree. It keeps the whole tree alive, so nothing may hold one longer than its file is visited. */
export type SyntaxNode = SgNode

registerDynamicLanguage({ python })

/** Parses source text. tree-sitter repairs what it cannot read, so any text has a tree. */
export function parseSource(language: Language, text: string): SyntaxNode {
  switch (language) {
    case 'python':
      return parse('python', text).root()
    case 'typescript':
      return parse(Lang.TypeScript, text).root()
    case 'tsx':
      return parse(Lang.Tsx, text).root()
    case 'javascript':
      return parse(Lang.JavaScript, text).root()
    default:
      throw new TypeError(`there is no parser for ${language}`)
  }
}
