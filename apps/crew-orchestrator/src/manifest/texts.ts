import type { Fault } from '@hypercode/contracts'
import { referencesIn } from '../domain/references.ts'

/** What is wrong with the references of a text, by what `faultOf` says of each. */
export function textFaults(
  pointer: string,
  text: string,
  faultOf: (reference: string) => { message: string; fix?: string } | undefined,
): Fault[] {
  const stray = text.replace(/\$\{[^{}]*\}/g, '').includes('${')
  return [
    ...(stray ? [{ pointer, message: 'a "${" has no end' }] : []),
    ...referencesIn(text).flatMap((reference) => {
      const fault = faultOf(reference)
      return fault === undefined ? [] : [{ pointer, ...fault }]
    }),
  ]
}
