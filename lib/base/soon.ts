/** What may be known at once: then it is taken at once, as each wait counts. */
export type Soon<T> = T | Promise<T>;
