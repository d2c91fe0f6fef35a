/** Why a request does not go on, and the HTTP status that the guest is told. */
export interface Refusal {
  status: number;
  why: string;
}
