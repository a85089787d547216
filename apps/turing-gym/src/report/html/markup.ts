/** Text that is known to be HTML. There are two ways to it: `html`, which escapes what it is given, and `trusted`, for texts of our own. */
export class Markup {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

export type Content = Markup | string | number | undefined | readonly Content[]

/** HTML or SVG in which every value is escaped, in text and in quoted attributes alike. Markup goes in as it is, lists one by one. */
export const html = (parts: TemplateStringsArray, ...values: readonly Content[]): Markup =>
  new Markup(parts.reduce((text, part, index) => text + rendered(values[index - 1]) + part))

/** For style sheets and scripts that stand in this source. Never for anything that was read. */
export const trusted = (text: string): Markup => new Markup(text)

function rendered(value: Content): string {
  if (value === undefined) return ''
  if (value instanceof Markup) return value.text
  if (typeof value === 'string') return escape(value)
  return typeof value === 'number' ? escape(String(value)) : value.map(rendered).join('')
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** What HTML cannot hold is replaced, so that nothing after it is read otherwise than meant. */
const escape = (text: string): string =>
  text
    .toWellFormed()
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '\u{fffd}')
    .replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '')
