type Callback<A> = (value: A) => unknown;

// A callback's own mistake surfaces, keeps nothing from the others, and does not change what a promise says.
export function call<A>(callbacks: Callback<A>[], value: A): void {
  for (const callback of callbacks) {
    try {
      callback(value);
    } catch (error) {
      queueMicrotask(() => {
        throw error;
      });
    }
  }
}

/**
 * A promise that also has jQuery's `done`, `fail`, `always` and `progress`.
 *
 * As with jQuery, these return the same promise, and a rejection that is only listened to with them is not reported
 * as unhandled.
 */
export class ClientPromise<T, P = never> extends Promise<T> {
  #listeners: Callback<P>[] = [];

  /** Runs `work`, which may report progress before it ends. */
  static run<T, P = never>(work: (notify: (progress: P) => void) => Promise<T>): ClientPromise<T, P> {
    const promise: ClientPromise<T, P> = new ClientPromise<T, P>((resolve, reject) => {
      // A turn later, so that listeners are there before the first news.
      Promise.resolve()
        .then(() => work((progress) => call(promise.#listeners, progress)))
        .then(resolve, reject);
    });
    return promise;
  }

  done(...callbacks: Callback<T>[]): this {
    super.then((value) => call(callbacks, value), () => undefined);
    return this;
  }

  fail(...callbacks: Callback<any>[]): this {
    super.then(undefined, (reason) => call(callbacks, reason));
    return this;
  }

  always(...callbacks: Callback<any>[]): this {
    super.then(
      (value) => call(callbacks, value),
      (reason) => call(callbacks, reason),
    );
    return this;
  }

  /** Listens to what happens on the way. */
  progress(...callbacks: Callback<P>[]): this {
    this.#listeners.push(...callbacks);
    return this;
  }

  promise(): this {
    return this;
  }
}
