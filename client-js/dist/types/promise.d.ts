type Callback<A> = (value: A) => unknown;
export declare function call<A>(callbacks: Callback<A>[], value: A): void;
/**
 * A promise that also has jQuery's `done`, `fail`, `always` and `progress`.
 *
 * As with jQuery, these return the same promise, and a rejection that is only listened to with them is not reported
 * as unhandled.
 */
export declare class ClientPromise<T, P = never> extends Promise<T> {
    #private;
    /** Runs `work`, which may report progress before it ends. */
    static run<T, P = never>(work: (notify: (progress: P) => void) => Promise<T>): ClientPromise<T, P>;
    done(...callbacks: Callback<T>[]): this;
    fail(...callbacks: Callback<any>[]): this;
    always(...callbacks: Callback<any>[]): this;
    /** Listens to what happens on the way. */
    progress(...callbacks: Callback<P>[]): this;
    promise(): this;
}
export {};
