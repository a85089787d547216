import { AUDIT_KINDS } from '@hypercode/contracts'
import type { AuditKind } from '@hypercode/contracts'
import { parseSource } from '../source/parse.ts'
import { isScript } from './languages.ts'
import type { Language } from './languages.ts'
import type { Marker } from './inventory.ts'

const WORD = 'hypercode-audit-ignore'
const MARKER = /hypercode-audit-ignore(?:\[([^\]\n]*)\])?(?:\s*:[ \t]*([^\n]*))?/
const MAX_PER_FILE = 500

/** The suppression comments of a file. In code a marker counts only inside a real comment, not in a string. */
export function markersOf(file: string, language: Language, text: string): Marker[] {
  if (!text.includes(WORD)) return []
  const comments = language === 'python' || isScript(language) ? commentsOf(language, text) : lineComments(text)
  return comments.slice(0, MAX_PER_FILE).flatMap((comment) => markersIn(file, comment))
}

interface Comment {
  readonly line: number
  readonly text: string
}

function commentsOf(language: Language, text: string): Comment[] {
  return parseSource(language, text)
    .findAll({ rule: { kind: 'comment' } })
    .map((node) => ({ line: node.range().start.line + 1, text: node.text() }))
    .filter((comment) => comment.text.includes(WORD))
}

/** Of configuration files: from the `#`, `;` or `//` on. */
function lineComments(text: string): Comment[] {
  return text.split('\n').flatMap((line, at) => {
    const start = line.search(/(^|\s)(#|;|\/\/|<!--|--)\s*hypercode-audit-ignore/)
    return start < 0 ? [] : [{ line: at + 1, text: line.slice(start).trim() }]
  })
}

function markersIn(file: string, comment: Comment): Marker[] {
  return comment.text.split('\n').flatMap((line, offset) => {
    const match = MARKER.exec(line)
    if (match === null) return []
    const reason = (match[2] ?? '').replace(/\*\/.*$|-->.*$/, '').trim()
    const base = { file, line: comment.line + offset, text: line.trim().slice(0, 200) }
    const withReason = reason === '' ? base : { ...base, reason: reason.slice(0, 400) }
    if (match[1] === undefined) return [withReason]
    const named = match[1].split(',').map((kind) => kind.trim())
    const kinds = named.filter(isKind)
    // A kind that nobody knows accepts nothing; without its reason the marker shows up as a fault.
    return kinds.length === 0 ? [base] : kinds.map((kind) => ({ ...withReason, kind }))
  })
}

function isKind(word: string): word is AuditKind {
  return (AUDIT_KINDS as readonly string[]).includes(word)
}
