// What came of it: the result, or what the client made of the refusal.
export async function told(attempt) {
  try {
    return await attempt()
  } catch (refusal) {
    const { code, status, error, error_description, cause } = refusal
    return { raised: refusal.constructor.name, code, status, error, error_description, challenges: cause }
  }
}
