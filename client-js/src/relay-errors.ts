import { RequestError, sentenceOf, type ErrorCode, type ErrorDetails } from './errors.js';

/** Whether asking again helps: within seconds; when somebody has done something or time has passed; not at all. */
export type Retry = 'soon' | 'later' | 'never';

/** What a relay itself says about an app connection, instead of the printer's server. */
export class RelayError extends RequestError {
  declare readonly status: number;
  /** Asking again in the same way will never help. */
  readonly isPermanent: boolean;
  readonly retry: Retry;
  /** The app connection is over: forget it, and lead the person through the portal anew. */
  readonly isOver: boolean;

  constructor(code: ErrorCode, message: string, details: ErrorDetails, retry: Retry, isOver = false) {
    super(code, message, details);
    this.retry = retry;
    this.isPermanent = retry === 'never';
    this.isOver = isOver;
  }
}

/** 600: something went wrong on the way. */
export class RelayFailedError extends RelayError {}
/** 601: the printer is not connected. */
export class PrinterOfflineError extends RelayError {}
/** 602: the printer did not answer in time. */
export class PrinterTimeoutError extends RelayError {}
/** 603: there is no such app connection. */
export class ConnectionNotFoundError extends RelayError {}
/** 604: it was revoked, or its printer or account is gone. */
export class ConnectionEndedError extends RelayError {}
/** 605: the owner may not use app connections at present. Keep it: it comes back by itself. */
export class OwnerNotEntitledError extends RelayError {}
/** 606: the credentials are missing or wrong. */
export class CredentialsRefusedError extends RelayError {}
/** 607: the answer is larger than allowed. */
export class DownloadTooLargeError extends RelayError {}
/** 608: what was sent is larger than allowed. */
export class UploadTooLargeError extends RelayError {}
/** 609: the webcam was used too much. */
export class WebcamLimitError extends RelayError {}
/** 610: the software at the printer must be updated. */
export class HostUpdateRequiredError extends RelayError {}
/** 611: no access to a beta. */
export class NoBetaAccessError extends RelayError {}
/** 612: the software at the printer failed. */
export class HostFailedError extends RelayError {}
/** 613: nothing is printed. */
export class NoActivePrintError extends RelayError {}

type RelayErrorClass = new (...args: ConstructorParameters<typeof RelayError>) => RelayError;

const KNOWN: Record<number, [RelayErrorClass, ErrorCode, Retry, string]> = {
  600: [RelayFailedError, 'server_error', 'soon', 'something went wrong on the way to the printer'],
  601: [PrinterOfflineError, 'offline', 'soon', 'the printer is not connected'],
  602: [PrinterTimeoutError, 'timeout', 'soon', 'the printer did not answer in time'],
  603: [ConnectionNotFoundError, 'ended', 'never', 'this app connection does not exist'],
  604: [ConnectionEndedError, 'ended', 'never', 'this app connection is over'],
  605: [OwnerNotEntitledError, 'forbidden', 'later', 'the owner cannot use app connections at present'],
  606: [CredentialsRefusedError, 'unauthorized', 'never', 'the credentials are missing or wrong'],
  607: [DownloadTooLargeError, 'too_large', 'never', 'the answer is larger than allowed'],
  608: [UploadTooLargeError, 'too_large', 'never', 'what was sent is larger than allowed'],
  609: [WebcamLimitError, 'rate_limited', 'later', 'the webcam was used too much'],
  610: [HostUpdateRequiredError, 'unsupported', 'later', 'the software at the printer must be updated'],
  611: [NoBetaAccessError, 'forbidden', 'later', 'the owner has no access to this beta'],
  612: [HostFailedError, 'server_error', 'soon', 'the software at the printer failed'],
  613: [NoActivePrintError, 'not_found', 'later', 'nothing is printed'],
};

/** The statuses from 600 on are the relay's alone. */
export function isRelayStatus(status: number): boolean {
  return status >= 600;
}

/** The error of a status from 600 on; `text` is the body, if it was read. */
export function relayError(status: number, text = ''): RelayError {
  let responseJSON: unknown;
  try {
    responseJSON = JSON.parse(text);
  } catch {
    // A page, or nothing.
  }
  const known = KNOWN[status];
  const details = { status, responseText: text, responseJSON };
  const sentence = sentenceOf(responseJSON) ?? known?.[3] ?? 'the relay refused';
  const message = `the relay answered ${status}: ${sentence}`;
  if (!known) return new RelayError('server_error', message, details, 'later');
  const [Known, code, retry] = known;
  return new Known(code, message, details, retry, status === 603 || status === 604);
}
