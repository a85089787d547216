/** Shannon's entropy of a text in bits per character, by the frequencies of its own characters. */
export function entropyPerChar(text: string): number {
  const counts = new Map<string, number>()
  for (const char of text) counts.set(char, (counts.get(char) ?? 0) + 1)
  const total = Array.from(text).length
  return [...counts.values()].reduce((bits, count) => bits - (count / total) * Math.log2(count / total), 0)
}

/**
 * How many characters of a text a guesser has to guess: a stretch that repeats earlier text, counts up or down, or
 * walks along the keyboard counts as one character, however long it is. So that `0001020304…` is seen as well, every
 * second character is also read by itself.
 */
export function unpredictableLength(text: string): number {
  const lower = text.toLowerCase()
  const everySecond = (start: number): string => Array.from(lower, (_, at) => lower.charAt(at * 2 + start)).join('')
  return Math.min(guesses(lower), guesses(everySecond(0)) + guesses(everySecond(1)))
}

/** The length of the shortest block that, written over and over and cut off at the end, gives the text. */
export function periodOf(text: string): number {
  let period = 1
  while (period < text.length && !text.startsWith(text.slice(period))) period++
  return period
}

const MIN_RUN = 4
const MIN_COPY = 3
const LONGEST_COPY = 64

/** Rows and columns of the keyboard; a run may go along them in either direction. */
const KEYBOARD = ['`1234567890-=', 'qwertyuiop[]', "asdfghjkl;'", 'zxcvbnm,./', '!@#$%^&*()_+'].concat(
  ['1qaz', '2wsx', '3edc', '4rfv', '5tgb', '6yhn', '7ujm', '8ik,', '9ol.', '0p;/'],
  ['qwertz', 'azerty', '0123456789abcdef'],
)

function guesses(text: string): number {
  let count = 0
  for (let at = 0; at < text.length; count++) {
    at += Math.max(runAt(text, at), copyAt(text, at), 1)
  }
  return count
}

/** The length of the run that starts at `at`, 0 when it is shorter than four characters. */
function runAt(text: string, at: number): number {
  const longest = Math.max(
    ...[-1, 0, 1].map((step) => stretch(text, at, (a, b) => b.charCodeAt(0) - a.charCodeAt(0) === step)),
    ...KEYBOARD.map((row) => stretch(text, at, (a, b) => isStepAlong(row, a, b, 1))),
    ...KEYBOARD.map((row) => stretch(text, at, (a, b) => isStepAlong(row, a, b, -1))),
  )
  return longest >= MIN_RUN ? longest : 0
}

function isStepAlong(row: string, a: string, b: string, step: 1 | -1): boolean {
  const from = row.indexOf(a)
  return from >= 0 && row[from + step] === b
}

function stretch(text: string, at: number, follows: (a: string, b: string) => boolean): number {
  let end = at + 1
  while (end < text.length && follows(text.charAt(end - 1), text.charAt(end))) end++
  return end - at
}

/** The length of the longest stretch at `at` that already occurred before it, 0 when it is shorter than three. */
function copyAt(text: string, at: number): number {
  const before = text.slice(0, at)
  let length = MIN_COPY
  while (at + length <= text.length && length <= LONGEST_COPY && before.includes(text.slice(at, at + length))) length++
  return length - 1 >= MIN_COPY ? length - 1 : 0
}
