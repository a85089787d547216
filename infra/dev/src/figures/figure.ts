/** What `npm run figures -- NAME` prints. `ok` says whether the figure reaches the bar. */
export interface Figure {
  readonly figure: number
  readonly unit: string
  readonly ok: boolean
  /** What else was seen. */
  readonly more?: Readonly<Record<string, number | string | boolean>>
}

export interface FigureSpec {
  readonly name: string
  /** One line for the list. */
  readonly about: string
  /** The bar as people write it: `<= 90 s`. */
  readonly bar: string
  /** Throws when the set-up is broken: that is neither a pass nor a figure that fell short. */
  measure(): Promise<Figure>
}
