import { isUtf8 } from 'node:buffer'
import { AppError } from './app-error.ts'
import { isStorableText } from './json-body.ts'

/** Parses an `application/x-www-form-urlencoded` body. A field that comes twice is refused, as OAuth 2 wants it. */
export function parseFormBody(bytes: Buffer): Record<string, string> {
  if (!isUtf8(bytes)) throw new AppError('request_invalid', { detail: 'The body is not valid UTF-8.' })
  const fields = Object.create(null) as Record<string, string>
  for (const [name, value] of new URLSearchParams(bytes.toString('utf8'))) {
    if (!isStorableText(name) || !isStorableText(value)) throw new AppError('text_invalid')
    if (Object.hasOwn(fields, name)) {
      throw new AppError('request_invalid', { detail: 'A field of the form comes more than once.' })
    }
    fields[name] = value
  }
  return fields
}
