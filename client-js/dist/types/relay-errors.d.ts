import { RequestError, type ErrorCode, type ErrorDetails } from './errors.js';
/** Whether asking again helps: within seconds; when somebody has done something or time has passed; not at all. */
export type Retry = 'soon' | 'later' | 'never';
/** What a relay itself says about an app connection, instead of the printer's server. */
export declare class RelayError extends RequestError {
    readonly status: number;
    /** Asking again in the same way will never help. */
    readonly isPermanent: boolean;
    readonly retry: Retry;
    /** The app connection is over: forget it, and lead the person through the portal anew. */
    readonly isOver: boolean;
    constructor(code: ErrorCode, message: string, details: ErrorDetails, retry: Retry, isOver?: boolean);
}
/** 600: something went wrong on the way. */
export declare class RelayFailedError extends RelayError {
}
/** 601: the printer is not connected. */
export declare class PrinterOfflineError extends RelayError {
}
/** 602: the printer did not answer in time. */
export declare class PrinterTimeoutError extends RelayError {
}
/** 603: there is no such app connection. */
export declare class ConnectionNotFoundError extends RelayError {
}
/** 604: it was revoked, or its printer or account is gone. */
export declare class ConnectionEndedError extends RelayError {
}
/** 605: the owner may not use app connections at present. Keep it: it comes back by itself. */
export declare class OwnerNotEntitledError extends RelayError {
}
/** 606: the credentials are missing or wrong. */
export declare class CredentialsRefusedError extends RelayError {
}
/** 607: the answer is larger than allowed. */
export declare class DownloadTooLargeError extends RelayError {
}
/** 608: what was sent is larger than allowed. */
export declare class UploadTooLargeError extends RelayError {
}
/** 609: the webcam was used too much. */
export declare class WebcamLimitError extends RelayError {
}
/** 610: the software at the printer must be updated. */
export declare class HostUpdateRequiredError extends RelayError {
}
/** 611: no access to a beta. */
export declare class NoBetaAccessError extends RelayError {
}
/** 612: the software at the printer failed. */
export declare class HostFailedError extends RelayError {
}
/** 613: nothing is printed. */
export declare class NoActivePrintError extends RelayError {
}
/** The statuses from 600 on are the relay's alone. */
export declare function isRelayStatus(status: number): boolean;
/** The error of a status from 600 on; `text` is the body, if it was read. */
export declare function relayError(status: number, text?: string): RelayError;
